"""A plug-in of each kind, as small as it can be. The page about plug-ins shows them."""

import asyncio
from dataclasses import replace
from pathlib import Path

from OttoLibrary import Device, hookimpl, registry
from OttoLibrary.contracts.profiles import Profile
from OttoLibrary.registry import (
    register_device,
    register_lab_repository,
    register_metric,
    register_plugin,
    register_profile,
    register_reference,
    register_reservation_backend,
    register_transfer,
    register_transport,
)


class Inventory:
    """A lab source: where labs come from."""

    def load_lab(self, name, preferences=None):
        if name not in self.list_labs():
            raise LookupError("there is only the lab 'bench'")
        board = {"transport": "own-shell", "address": "sh", "profile": "own-prompt", "metadata": {"serial": "${sticker:board}"}}
        return {"hosts": {"board": board, "here": {"transport": "local"}}}

    def list_labs(self):
        return ["bench"]


register_lab_repository("inventory", Inventory)


class Sticker:
    """A reference: what ``${sticker:NAME}`` in a lab stands for."""

    def resolve(self, argument):
        return f"SN-{argument}-0001"

    def close(self):
        pass


register_reference("sticker", Sticker)


class OwnShell:
    """A transport: how a host is reached. This one says which program another transport runs."""

    async def connect(self, facts, path, hop, deadline):
        program = registry.load("transport", "program")
        return await program.connect(replace(facts, address=f"{facts.address} -i"), path, hop, deadline)


register_transport("own-shell", OwnShell)


def own_prompt():
    """A profile: how the console of a host behaves."""
    return Profile("own-prompt", "posix", prompt=r"[$#] ?")


register_profile("own-prompt", own_prompt)


class PlainCopy:
    """A transfer: how the bytes of a file move. Names, checksums, modes and undoing are the library's."""

    checksum = "sha256"
    resumes = False

    async def put(self, site, job):
        await self._copy(job.local, Path(job.remote), job)

    async def get(self, site, job):
        await self._copy(Path(job.remote), job.local, job)

    async def _copy(self, source, target, job):
        data = await asyncio.to_thread(source.read_bytes)
        await asyncio.to_thread(target.write_bytes, data)
        job.moved(len(data))


register_transfer("plain-copy", PlainCopy)


def pulse(output):
    """A metric: the number in what a command on the host prints."""
    return float(output)


register_metric("pulse_count", "echo 72", pulse)


class Bookings:
    """A reservation backend: who has which resource."""

    _booked = {"alice": {"inventory:bench/rack"}}

    def backend_name(self):
        return "bookings"

    def get_reserved_resources(self, username):
        return set(self._booked.get(username, ()))

    def who_reserved(self, resource):
        return [user for user, resources in self._booked.items() if resource in resources]


register_reservation_backend("bookings", Bookings)


class Lamp(Device):
    """A device of a testbed: what is done when it is brought up and given back."""

    async def boot(self):
        await self.host.run("true")
        self.is_lit = True


register_device("lamp", Lamp)


class Notes:
    """Hooks: what else happens while a testbed is brought up."""

    @hookimpl
    def otto_post_setup_env(self, options, devices):
        if "lamp" in devices:
            devices["lamp"].note = "seen by a hook"


register_plugin(Notes())
