"""What the studio may import from the engine: records, failures and routes. Free of torch and of SQL."""
