"""The database: opening and migrating it, its tables, transactions, and locks on its file and folder."""
