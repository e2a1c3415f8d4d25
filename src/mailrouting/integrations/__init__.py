"""Join mailrouting to what hosts run on (floor 9). Each module is imported by its own name."""

__all__: list[str] = []
