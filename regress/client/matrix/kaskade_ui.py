# SPDX-License-Identifier: Apache-2.0
"""kaskade, a user interface in the terminal, run in one: what is on its screens."""
import fcntl
import importlib.metadata
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

from confluent_kafka import Consumer, Producer

from scenario import CA, CERT, KEY, MECHANISM, NAME, PASSWORD, PROTOCOL, SERVER, USER, end, ok, part, skip

settings = {"bootstrap.servers": SERVER, "security.protocol": PROTOCOL}
if "SSL" in PROTOCOL:
    settings["ssl.ca.location"] = CA
if CERT:
    settings.update({"ssl.certificate.location": CERT, "ssl.key.location": KEY})
if MECHANISM:
    settings.update({"sasl.mechanism": MECHANISM, "sasl.username": USER, "sasl.password": PASSWORD})


def screen(words, wanted, seconds=120):
    """Runs it until all of WANTED were on its screen."""
    words = [sys.executable, "-c", "from kaskade.main import cli; cli()", *words]
    for name, value in settings.items():
        words += ["--kafka", "%s=%s" % (name, value)]
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", LANG="C.UTF-8")
        os.execvp(words[0], words)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 400, 220, 0, 0))
    text, deadline, found = "", time.time() + seconds, False
    while time.time() < deadline and not found:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                text += os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                break
            plain = re.sub(r"\x1b(\[[0-9;?<>=]*[a-zA-Z]|[()][A-Z0-9]|[=>])", "", text)
            found = all(word in plain for word in wanted)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(terminal)
    if not found:
        print("# " + repr(text[-1500:]))
    return found


def records():
    producer = Producer(settings)
    for i in range(20):
        producer.produce(NAME, key="key-%d" % i, value="value-%d" % i)
    producer.flush(20)
    reader = Consumer({**settings, "group.id": NAME + "-seen", "auto.offset.reset": "earliest"})
    reader.subscribe([NAME])
    reader.consume(20, 20)
    reader.close()


def consume():
    ok(screen(["consumer", "-t", NAME, "--earliest", "-k", "string", "-v", "string"],
              ["key-3", "value-3", "value-17"]), "consume: records are on the screen")


def admin():
    ok(screen(["admin"], [NAME]), "admin: topics are on the screen")


print("# version %s" % importlib.metadata.version("kaskade"))
records()
skip("produce", "it only shows")
part("consume", consume)
skip("groups", "it only shows")
skip("transactions", "it only shows")
part("admin", admin)
end()
