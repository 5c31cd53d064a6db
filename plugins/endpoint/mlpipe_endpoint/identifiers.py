"""Identifiers of requests."""

import random


def request_id(chance: random.Random) -> str:
    """Give a random UUID (version 4), without a call of the operating system for each.

    Args:
        chance: Seeded by the operating system. Identifiers tell requests apart; they are no
            secrets.
    """
    digits = f"{chance.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
