"""A segment against a model in Python: whatever the order of calls, both agree."""

import errno
import gc
from contextlib import nullcontext
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from test_state_machines import SETTINGS

SIZE = 300

places = st.integers(-SIZE - 2, SIZE + 2)
ends = st.none() | places
texts = st.binary(max_size=20) | st.binary(min_size=SIZE - 1, max_size=SIZE + 1)


class Segments(RuleBasedStateMachine):
    """A segment is a bytearray; attachments count until nothing can reach their memory."""

    @initialize()
    def create(self) -> None:
        self.key = support.free_key()
        self.memory = ipc.SharedMemory.create(self.key, size=SIZE)
        # It keeps the segment when it is removed.
        self.anchor = self.memory.attach()
        self.model = bytearray(SIZE)
        self.attachments: list[ipc.Attachment] = []
        # Those that have been exported, by their place in the list, and views of them.
        self.exported: set[ipc.Attachment] = set()
        self.views: list[memoryview] = []
        self.words: list[ipc.AtomicInteger] = []
        self.removed = False

    def teardown(self) -> None:
        with pytest.raises(ipc.RemovedError) if self.removed else nullcontext():
            self.memory.remove()
        self.__dict__.clear()
        gc.collect()

    def usable(self, which: int, write: bool = False) -> ipc.Attachment | None:
        """An attachment that can be used so; that others can't is seen here."""
        if not self.attachments:
            return None
        attachment = self.attachments[which % len(self.attachments)]
        if attachment.detached:
            for call in (attachment.read, lambda: attachment[0], lambda: attachment.fill(0)):
                with pytest.raises(ValueError, match="detached"):
                    call()
            return None
        if write and attachment.readonly:
            for call in (lambda: attachment.write(b"x"), lambda: attachment.fill(0)):
                with pytest.raises(TypeError):
                    call()
            return None
        return attachment

    @rule(readonly=st.booleans())
    def attach(self, readonly: bool) -> None:
        if len(self.attachments) < 5:
            self.attachments.append(self.memory.attach(readonly=readonly))

    @rule(which=st.integers(0, 4))
    def detach(self, which: int) -> None:
        if self.attachments:
            self.attachments[which % len(self.attachments)].detach()

    @rule(which=st.integers(0, 4))
    def drop(self, which: int) -> None:
        if self.attachments:
            self.exported.discard(self.attachments.pop(which % len(self.attachments)))

    @rule(which=st.integers(0, 4))
    def export(self, which: int) -> None:
        attachment = self.usable(which)
        if attachment is not None:
            view = memoryview(attachment)
            assert view.readonly == attachment.readonly
            self.exported.add(attachment)
            self.views.append(view)

    @rule(which=st.integers(0, 9))
    def drop_view(self, which: int) -> None:
        if self.views:
            del self.views[which % len(self.views)]

    @rule(which=st.integers(0, 4), word=st.integers(0, SIZE // 4 - 1))
    def make_word(self, which: int, word: int) -> None:
        attachment = self.usable(which)
        if attachment is not None:
            self.words.append(attachment.atomic(4 * word, "u32"))
            number = int.from_bytes(self.model[4 * word : 4 * word + 4], "little")
            assert self.words[-1].load() == number

    @rule(which=st.integers(0, 9))
    def drop_word(self, which: int) -> None:
        if self.words:
            del self.words[which % len(self.words)]

    @rule(which=st.integers(0, 4), place=places, text=texts)
    def write(self, which: int, place: int, text: bytes) -> None:
        attachment = self.usable(which, write=True)
        if attachment is None:
            return
        if place < 0 or place + len(text) > SIZE:
            with pytest.raises(ValueError, match="0 to"):
                attachment.write(text, place)
            return
        attachment.write(text, place)
        self.model[place : place + len(text)] = text

    @rule(which=st.integers(0, 4), start=ends, stop=ends, text=texts, fitting=st.booleans())
    def assign(self, which: int, start: Any, stop: Any, text: bytes, fitting: bool) -> None:
        attachment = self.usable(which, write=True)
        if attachment is None:
            return
        wanted = len(self.model[start:stop])
        text = (text * SIZE or b"z" * SIZE)[:wanted] if fitting else text
        if len(text) != wanted:
            with pytest.raises(ValueError, match="fixed"):
                attachment[start:stop] = text
            return
        attachment[start:stop] = text
        self.model[start:stop] = text

    @rule(which=st.integers(0, 4), place=places, byte=st.integers(0, 255))
    def set_item(self, which: int, place: int, byte: int) -> None:
        attachment = self.usable(which, write=True)
        if attachment is None:
            return
        try:
            self.model[place] = byte
        except IndexError:
            with pytest.raises(IndexError):
                attachment[place] = byte
        else:
            attachment[place] = byte

    @rule(which=st.integers(0, 9), place=st.integers(0, SIZE - 1), byte=st.integers(0, 255))
    def write_view(self, which: int, place: int, byte: int) -> None:
        if self.views and not (view := self.views[which % len(self.views)]).readonly:
            view[place] = self.model[place] = byte

    @rule(which=st.integers(0, 4), byte=st.integers(0, 255), place=places, size=ends)
    def fill(self, which: int, byte: int, place: int, size: int | None) -> None:
        attachment = self.usable(which, write=True)
        if attachment is None:
            return
        wanted = SIZE - place if size is None else size
        if not 0 <= place <= SIZE or not 0 <= wanted <= SIZE - place:
            with pytest.raises(ValueError, match="0 to"):
                attachment.fill(byte, place, size)
            return
        attachment.fill(byte, place, size)
        self.model[place : place + wanted] = bytes([byte]) * wanted

    @precondition(lambda self: not self.removed)
    @rule(size=st.integers(1, 2 * SIZE))
    def open(self, size: int) -> None:
        if size <= SIZE:
            assert ipc.SharedMemory.open(self.key, size=size).size == SIZE
            return
        with pytest.raises(ipc.IPCError) as caught:
            ipc.SharedMemory.open(self.key, size=size)
        assert caught.value.errno == errno.EINVAL

    @precondition(lambda self: self.removed)
    @rule(size=st.integers(1, 2 * SIZE))
    def use_the_key_again(self, size: int) -> None:
        """It is another segment; those who have the old one attached see nothing of it."""
        other = ipc.SharedMemory.create(self.key, size=size)
        with other.attach() as attachment:
            assert other != self.memory
            assert attachment[:] == bytes(size)
            attachment.fill(255)
        other.remove()

    @precondition(lambda self: not self.removed)
    @rule()
    def remove(self) -> None:
        self.memory.remove()
        self.removed = True
        with pytest.raises(ipc.RemovedError):
            self.memory.remove()
        with pytest.raises(ipc.NotFoundError):
            ipc.SharedMemory.open(self.key)

    @invariant()
    def all_see_the_same(self) -> None:
        assert self.anchor.read() == self.model
        for attachment in self.attachments:
            if not attachment.detached:
                assert attachment[:] == self.model
        for view in self.views:
            assert view == self.model

    @invariant()
    def what_can_be_reached_is_attached_and_nothing_else(self) -> None:
        told = self.memory.stat()
        assert told.marked_for_removal == self.removed
        for attachment in self.attachments:
            if not attachment.detached or attachment in self.exported:
                assert attachment.mapped
        users = {view.obj for view in self.views} | {a for a in self.attachments if a.mapped}
        orphans = len(self.words)
        assert 1 + len(users) <= told.attached <= 1 + len(users) + orphans


TestSegments = Segments.TestCase
TestSegments.settings = SETTINGS
