"""What is made of the log in the database, and the questions that it answers."""
