"""The name under which AWS's runtimes have their client: code that imports types from it finds them."""
