"""Records -> text for a person, or JSON. Nothing here asks a ledger or a store; recorded text is never sent raw."""
