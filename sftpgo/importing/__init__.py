"""Moving in: accounts of another installation, or of another kind of server, become users here."""
