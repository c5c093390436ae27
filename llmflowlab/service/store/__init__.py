"""The service's database: sessions, turns, keys, money, and what MLflow lacks of them."""
