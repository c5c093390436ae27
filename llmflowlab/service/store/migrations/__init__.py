"""How a service's database came to have the tables it has, a step a file."""
