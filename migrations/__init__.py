"""The one history of the schema; installed as `convostore.migrations`."""
