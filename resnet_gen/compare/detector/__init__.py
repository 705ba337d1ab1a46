"""The code of a detector or a localizer against its spec and appendices A to C."""
