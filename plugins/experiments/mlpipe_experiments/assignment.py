"""Which variant a key belongs to: always the same one, in the variants' shares.

Weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted distributed hash tables",
SPAA 2005): each variant draws a number for the key, by a hash, and the largest wins. When weights
change, only as many keys move as must; when a variant is away, only its own keys go elsewhere.
"""

import hashlib
import math
from collections.abc import Mapping


def ranked(key: str, weights: Mapping[str, float], salt: str) -> list[str]:
    """Rank variants for a key, the one that it belongs to first.

    Args:
        key: Who or what is assigned, as a user's number.
        weights: Share of each variant, in any unit; those without a share are left out.
        salt: Another one assigns all keys anew, and independently.
    """
    drawn = {
        variant: -math.log(_uniform(salt, variant, key)) / weight
        for variant, weight in weights.items()
        if weight > 0
    }
    return sorted(drawn, key=lambda variant: (drawn[variant], variant))


def fingerprint(key: str, salt: str) -> str:
    """Give what is recorded instead of a key: 16 hexadecimal digits."""
    return _hash(salt, "", key).hex()[:16]


def _uniform(salt: str, variant: str, key: str) -> float:
    """Draw a number above 0 and below 1: the middle of one of 2**53 equal parts."""
    number = int.from_bytes(_hash(salt, variant, key)[:7], "big") >> 3
    return (number + 0.5) / 2**53


def _hash(salt: str, variant: str, key: str) -> bytes:
    # Lengths go before texts, so that no two triples are written the same.
    parts = [text.encode("utf-8", "surrogateescape") for text in (salt, variant, key)]
    return hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).digest()
