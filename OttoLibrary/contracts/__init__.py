"""What an adapter must be, and the plain data that goes to and fro."""
