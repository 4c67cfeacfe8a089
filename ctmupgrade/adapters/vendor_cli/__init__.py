"""The vendor CLI as each appliance itself offers it: downloaded, taken out of its zip, kept in the state folder."""
