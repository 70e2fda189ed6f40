"""Bytes by their digest: chunks, packs, manifests, the stat cache, checkout.

`objects.Store` is the door; `keep` brings files in, `checkout` brings them out. The format is written down in
`docs/reference/format-store.md`. Nothing here knows a run, a project or a remote.
"""
