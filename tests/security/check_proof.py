"""Checks a proof that `raymesh audit prove` printed: python check_proof.py PROOF PUBLIC_KEY. Knows no raymesh."""

import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

proof, key = json.loads(Path(sys.argv[1]).read_text()), bytes.fromhex(sys.argv[2])
signed = proof["checkpoint"]

# 1. the checkpoint was signed with the key we know
moment = datetime.fromisoformat(signed["at"]).astimezone(UTC).isoformat()
message = f"raymesh-audit-checkpoint/1\n{signed['log']}\n{signed['size']}\n{signed['root']}\n{moment}\n"
Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(signed["signature"]), message.encode())

# 2. the leaf: number and length of the record, eight bytes each, and the record
text = proof["record"].encode("ascii")
content = proof["index"].to_bytes(8, "big") + len(text).to_bytes(8, "big") + text
found = hashlib.sha256(b"\x00" + content).digest()

# 3. from the leaf to the root (RFC 9162, 2.1.3.2)
position, last = proof["index"], signed["size"] - 1
for sibling in map(bytes.fromhex, proof["proof"]):
    assert last > 0, "the proof is too long"
    if position % 2 or position == last:
        found = hashlib.sha256(b"\x01" + sibling + found).digest()
        while position % 2 == 0 and position > 0:
            position, last = position // 2, last // 2
    else:
        found = hashlib.sha256(b"\x01" + found + sibling).digest()
    position, last = position // 2, last // 2
if last or found.hex() != signed["root"]:
    sys.exit("the record is not in the log")
print(proof["record"])
