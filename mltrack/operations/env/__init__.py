"""Where operations meet the environment kinds: what is known of environments, and building them again."""
