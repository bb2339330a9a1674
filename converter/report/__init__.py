"""What the commands print: a result as text or as JSON. JSON is the result, text a view of it."""
