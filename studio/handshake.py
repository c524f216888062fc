"""How two processes of one workspace recognise each other before any secret crosses the wire.

The one that connects sends a nonce; the one that answers returns HMAC-SHA256(token, nonce) in hex, which
only a process that can read the workspace's 0600 files can make.
"""

import hashlib
import hmac


def prove(token: str, nonce: str) -> str:
    return hmac.new(token.encode(), nonce.encode(), hashlib.sha256).hexdigest()


def proves(proof: str, token: str, nonce: str) -> bool:
    return hmac.compare_digest(proof, prove(token, nonce))
