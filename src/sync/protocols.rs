//! The protocols, as data: what the code performs is what `tests/model` searches through.
//!
//! The kernel looks at a step's operations in order; the first that can't proceed decides whether
//! the step waits or answers `EAGAIN`, also of a step that waits already. What has `undo` is
//! reversed when its process ends, all of a set at one moment; so whatever a process adds with
//! `undo` it takes away with `undo`, and nothing drifts.

use super::program::{Act, Delta, End, Next, Number, Op, Place, Program, Protocol, Step};
use Act::{NextSlot, Read, Try, Wait};
use End::{Died, Done, Expired, Lead, Refused};
use Next::To;

const fn by(index: u16, delta: i16) -> Op {
    Op::new(Place::At(index), Delta::By(delta))
}

const fn plus(index: u16, number: Number) -> Op {
    Op::new(Place::At(index), Delta::Plus(number))
}

const fn minus(index: u16, number: Number) -> Op {
    Op::new(Place::At(index), Delta::Minus(number))
}

const fn end(end: End) -> Next {
    Next::End(end)
}

const fn step(name: &'static str, act: Act, done: Next, again: Next) -> Step {
    Step::new(name, act, done, again)
}

/// 1 while it is free.
pub(super) const LOCK: u16 = 0;
/// 1 while it is held, and after its owner died until the next is told.
const DIRTY: u16 = 1;

/// The lock is taken together with a look at `dirty`, which nobody undoes: a lock that is free and
/// dirty was held by a process that died.
pub(super) const LOCK_TAKE: &Program = &[
    step("take", Wait(&[by(LOCK, -1).undo(), by(DIRTY, 0).now(), by(DIRTY, 1)]), end(Done), To(1)),
    step("recover", Try(&[by(LOCK, -1).undo(), by(DIRTY, -1), by(DIRTY, 1)]), end(Died), To(0)),
];

pub(super) const LOCK_GIVE: &Program =
    &[step("give", Try(&[by(DIRTY, -1), by(LOCK, 1).undo()]), end(Done), end(Refused))];

/// Of who was told that the owner died, and has done nothing about it: the next is told too.
pub(super) const LOCK_PASS_ON: &Program =
    &[step("pass on", Try(&[by(LOCK, 1).undo()]), end(Done), end(Refused))];

/// `Lock` and `RLock`.
pub const LOCKS: Protocol = Protocol {
    name: "Lock",
    semaphores: &[("lock", 1), ("dirty", 0)],
    programs: &[("take", LOCK_TAKE), ("give", LOCK_GIVE), ("pass on", LOCK_PASS_ON)],
};

pub(super) const FREE: u16 = 0;
const TAKEN: u16 = 1;
pub(super) const BOUND: u16 = 2;

pub(super) const TOKEN_TAKE: &Program =
    &[step("take", Wait(&[by(FREE, -1).undo(), by(TAKEN, 1).undo()]), end(Done), To(0))];

pub(super) const TOKEN_GIVE: &Program =
    &[step("give", Try(&[by(TAKEN, -1).undo(), by(FREE, 1).undo()]), end(Done), end(Refused))];

/// `BoundedSemaphore`; `free` and `bound` begin with its value.
pub const BOUNDED: Protocol = Protocol {
    name: "BoundedSemaphore",
    semaphores: &[("free", 1), ("taken", 0), ("bound", 1)],
    programs: &[("take", TOKEN_TAKE), ("give", TOKEN_GIVE)],
};

/// 1 while the event is not set.
pub(super) const UNSET: u16 = 0;

pub(super) const EVENT_WAIT: &Program = &[step("wait", Wait(&[by(UNSET, 0)]), end(Done), To(0))];

pub(super) const EVENT_SET: &Program = &[step("set", Try(&[by(UNSET, -1)]), end(Done), end(Done))];

pub(super) const EVENT_CLEAR: &Program =
    &[step("clear", Try(&[by(UNSET, 0), by(UNSET, 1)]), end(Done), end(Done))];

/// `Event`. Who waits is let go inside the `semop` that sets it.
pub const EVENT: Protocol = Protocol {
    name: "Event",
    semaphores: &[("unset", 1)],
    programs: &[("wait", EVENT_WAIT), ("set", EVENT_SET), ("clear", EVENT_CLEAR)],
};

/// 1 while no writer has it or is the next to have it. Readers pass it in the `semop` that counts
/// them, writers keep it; so the kernel's queue for it is the order of both.
pub(super) const GATE: u16 = 0;
pub(super) const READERS: u16 = 1;
/// 1 while a writer writes, and after it died until the next is told.
pub(super) const WRITTEN: u16 = 2;

pub(super) const READ_TAKE: &Program = &[
    step(
        "read",
        Wait(&[by(GATE, -1), by(GATE, 1), by(WRITTEN, 0).now(), by(READERS, 1).undo()]),
        end(Done),
        To(1),
    ),
    step(
        "recover",
        Try(&[by(GATE, -1), by(GATE, 1), by(WRITTEN, -1), by(READERS, 1).undo()]),
        end(Died),
        To(0),
    ),
];

pub(super) const READ_GIVE: &Program =
    &[step("leave", Try(&[by(READERS, -1).undo()]), end(Done), end(Refused))];

pub(super) const WRITE_TAKE: &Program = &[
    step(
        "write",
        Try(&[by(GATE, -1).undo(), by(READERS, 0), by(WRITTEN, 0), by(WRITTEN, 1)]),
        end(Done),
        To(1),
    ),
    step("close the gate", Wait(&[by(GATE, -1).undo()]), To(2), To(1)),
    step(
        "wait for readers",
        Wait(&[by(READERS, 0), by(WRITTEN, 0).now(), by(WRITTEN, 1)]),
        end(Done),
        To(3),
    )
    .expired(To(4))
    .interrupted(To(4)),
    step("recover", Try(&[by(READERS, 0), by(WRITTEN, -1), by(WRITTEN, 1)]), end(Died), To(2)),
    step("open the gate", Try(&[by(GATE, 1).undo()]), end(Expired), end(Expired)),
];

pub(super) const WRITE_GIVE: &Program =
    &[step("give", Try(&[by(WRITTEN, -1), by(GATE, 1).undo()]), end(Done), end(Refused))];

/// As [`LOCK_PASS_ON`].
pub(super) const READ_PASS_ON: &Program =
    &[step("pass on", Try(&[by(READERS, -1).undo(), by(WRITTEN, 1)]), end(Done), end(Refused))];

/// As [`LOCK_PASS_ON`].
pub(super) const WRITE_PASS_ON: &Program =
    &[step("pass on", Try(&[by(GATE, 1).undo()]), end(Done), end(Refused))];

/// `RWLock`.
pub const RWLOCK: Protocol = Protocol {
    name: "RWLock",
    semaphores: &[("gate", 1), ("readers", 0), ("written", 0)],
    programs: &[
        ("take read", READ_TAKE),
        ("give read", READ_GIVE),
        ("take write", WRITE_TAKE),
        ("give write", WRITE_GIVE),
        ("pass on read", READ_PASS_ON),
        ("pass on write", WRITE_PASS_ON),
    ],
};

/// How many are registered as waiting and have not been given a notification.
pub(super) const WAITING: u16 = 2;
/// Notifications that nobody has taken yet; 0 whenever nobody holds the lock, but for those of the
/// dead.
const NOTICES: u16 = 3;
/// Counts on when a notification finds somebody who is not asleep yet; after 32767 comes 0. So a
/// process that is stopped between giving the lock and sleeping misses its notification if exactly
/// a multiple of 32,768 eras pass meanwhile.
const ERA: u16 = 4;
/// 1 if the lock is another object.
pub(super) const FOREIGN: u16 = 5;

/// Makes of what nobody has taken a new era: who registered before and is not asleep (nobody else
/// can be, since who sleeps would have taken it) finds that it was notified.
const SETTLE: &[Op] = &[
    minus(NOTICES, Number::Left),
    minus(ERA, Number::Era),
    by(ERA, 0),
    plus(ERA, Number::NextEra),
];

/// Done by the lock's holder, before it gives the lock.
pub(super) const CONDITION_ENTER: &Program = &[
    step("read the era", Read(ERA, Number::Era, None), To(1), To(1)),
    step("register", Try(&[by(NOTICES, 0), by(WAITING, 1).undo()]), end(Done), To(2)),
    step("count what is left", Read(NOTICES, Number::Left, None), To(3), To(1)),
    step("settle", Try(SETTLE), To(0), To(2)),
];

/// Done without the lock.
pub(super) const CONDITION_SLEEP: &Program = &[
    step(
        "sleep",
        Wait(&[
            minus(ERA, Number::Era).now(),
            by(ERA, 0).now(),
            plus(ERA, Number::Era),
            by(NOTICES, -1).undo(),
            by(WAITING, -1).undo(),
        ]),
        end(Done),
        To(1),
    ),
    step(
        "see whether the era is over",
        Try(&[minus(ERA, Number::Era), by(ERA, 0), plus(ERA, Number::Era)]),
        To(0),
        end(Expired),
    ),
];

/// Of who has slept and can't make use of the notification: as if it had not slept, and the
/// notification goes to the next.
pub(super) const CONDITION_PUT_BACK: &Program = &[step(
    "put back",
    Try(&[by(NOTICES, 1).undo(), by(WAITING, 1).undo()]),
    end(Done),
    end(Refused),
)];

/// Done by the holder, who has a notification: if it died before, the next waiter would get it.
pub(super) const CONDITION_CONFIRM: &Program =
    &[step("confirm", Try(&[by(NOTICES, 1).undo(), by(NOTICES, -1)]), end(Done), end(Refused))];

/// Done by the holder, whom nobody has woken: the era tells whether it was notified all the same.
pub(super) const CONDITION_LEAVE: &Program = &[
    step(
        "leave",
        Try(&[minus(ERA, Number::Era), by(ERA, 0), plus(ERA, Number::Era), by(WAITING, -1).undo()]),
        end(Expired),
        To(1),
    ),
    step("leave notified", Try(&[by(WAITING, -1).undo()]), end(Done), end(Refused)),
];

/// Done by the holder.
pub(super) const CONDITION_NOTIFY: &Program = &[
    step("count", Read(WAITING, Number::Count, Some(Number::Count)), To(1), end(Done)),
    step("notify", Try(&[plus(NOTICES, Number::Count)]), To(2), end(Refused)),
    step("count what is left", Read(NOTICES, Number::Left, None), To(3), end(Done)),
    step("read the era", Read(ERA, Number::Era, None), To(4), To(4)),
    step("settle", Try(SETTLE), end(Done), To(2)),
];

/// `Condition`; its own lock is the first two, and works as `Lock`.
pub const CONDITION: Protocol = Protocol {
    name: "Condition",
    semaphores: &[
        ("lock", 1),
        ("dirty", 0),
        ("waiting", 0),
        ("notices", 0),
        ("era", 0),
        ("foreign", 0),
    ],
    programs: &[
        ("enter", CONDITION_ENTER),
        ("sleep", CONDITION_SLEEP),
        ("put back", CONDITION_PUT_BACK),
        ("confirm", CONDITION_CONFIRM),
        ("leave", CONDITION_LEAVE),
        ("notify", CONDITION_NOTIFY),
        ("take", LOCK_TAKE),
        ("give", LOCK_GIVE),
    ],
};

/// 0 filling, 1 let go until all have passed, 2 broken, 3 reset until all have left.
pub(super) const STATE: u16 = 0;
/// How many have arrived and not passed.
pub(super) const ARRIVED: u16 = 1;
/// How many may still arrive.
pub(super) const ROOM: u16 = 2;
/// 1 while nobody acts for all.
const LEADER: u16 = 3;
/// 1 while nobody has this index; one a party.
pub(super) const SLOTS: u16 = 4;

const fn slot(delta: i16) -> Op {
    Op::new(Place::Slot(SLOTS), Delta::By(delta)).undo()
}

// Who takes part is counted from its arrival until it passes, leaves or dies.
const ROOM_LESS: Op = by(ROOM, -1).undo();
const ARRIVED_MORE: Op = by(ARRIVED, 1).undo();
const SLOT_TAKEN: Op = slot(-1).now();
const ROOM_MORE: Op = by(ROOM, 1).undo();
const ARRIVED_LESS: Op = by(ARRIVED, -1).undo();
const SLOT_GIVEN: Op = slot(1);

const IS_BROKEN: &[Op] = &[by(STATE, -2), by(STATE, 0), by(STATE, 2)];
const PASS: &[Op] =
    &[by(STATE, -1), by(STATE, 0).now(), by(STATE, 1), ROOM_MORE, ARRIVED_LESS, SLOT_GIVEN];

pub(super) const BARRIER_WAIT: &Program = &[
    step("choose a slot", Read(ARRIVED, Number::Slot, Some(Number::LastSlot)), To(1), To(1)),
    step("arrive", Wait(&[by(STATE, 0).now(), ROOM_LESS, ARRIVED_MORE, SLOT_TAKEN]), To(6), To(2)),
    step(
        "arrive after all have passed",
        Wait(&[
            by(STATE, -1).now(),
            by(STATE, 0).now(),
            by(ARRIVED, 0),
            ROOM_LESS,
            ARRIVED_MORE,
            SLOT_TAKEN,
        ]),
        To(6),
        To(3),
    ),
    step(
        "arrive after a reset",
        Wait(&[by(STATE, -3).now(), by(ARRIVED, 0), ROOM_LESS, ARRIVED_MORE, SLOT_TAKEN]),
        To(6),
        To(4),
    ),
    step("see that it is broken", Try(IS_BROKEN), end(Refused), To(5)),
    step("choose the next slot", NextSlot, To(1), To(1)),
    step("lead", Try(&[by(STATE, 0), by(ROOM, 0), by(LEADER, -1).undo()]), end(Lead), To(7)),
    step("pass", Wait(PASS), end(Done), To(8)).expired(To(9)).interrupted(To(11)),
    step("see that it still fills", Try(&[by(STATE, 0)]), To(7), To(10)),
    step(
        "break",
        Try(&[by(STATE, 0), by(STATE, 2), ROOM_MORE, ARRIVED_LESS, SLOT_GIVEN]),
        end(Refused),
        To(10),
    ),
    step("pass in time", Try(PASS), end(Done), To(11)),
    step("leave", Try(&[ROOM_MORE, ARRIVED_LESS, SLOT_GIVEN]), end(Refused), end(Refused)),
];

const STEP_DOWN: &[Op] = &[by(LEADER, 1).undo(), ROOM_MORE, ARRIVED_LESS, SLOT_GIVEN];

/// Done by the leader, after its action.
pub(super) const BARRIER_RELEASE: &Program = &[
    step(
        "let all go",
        Try(&[
            by(STATE, 0),
            by(STATE, 1),
            by(LEADER, 1).undo(),
            ROOM_MORE,
            ARRIVED_LESS,
            SLOT_GIVEN,
        ]),
        end(Done),
        To(1),
    ),
    step("step down", Try(STEP_DOWN), end(Refused), end(Refused)),
];

/// Done by the leader whose action failed.
pub(super) const BARRIER_FAIL: &Program = &[
    step(
        "break",
        Try(&[
            by(STATE, 0),
            by(STATE, 2),
            by(LEADER, 1).undo(),
            ROOM_MORE,
            ARRIVED_LESS,
            SLOT_GIVEN,
        ]),
        end(Done),
        To(1),
    ),
    step("step down", Try(STEP_DOWN), end(Done), end(Refused)),
];

pub(super) const BARRIER_ABORT: &Program = &[
    step("from filling", Try(&[by(STATE, 0), by(STATE, 2)]), end(Done), To(1)),
    step("from letting go", Try(&[by(STATE, -1), by(STATE, 0), by(STATE, 2)]), end(Done), To(2)),
    step("from a reset", Try(&[by(STATE, -3), by(STATE, 2)]), end(Done), To(3)),
    step("see that it is broken", Try(IS_BROKEN), end(Done), To(0)),
];

pub(super) const BARRIER_RESET: &Program = &[
    step("from filling", Try(&[by(STATE, 0), by(STATE, 3)]), end(Done), To(1)),
    step("from broken", Try(&[by(STATE, -2), by(STATE, 0), by(STATE, 3)]), end(Done), To(2)),
    step(
        "see that it lets go",
        Try(&[by(STATE, -1), by(STATE, 0), by(STATE, 1)]),
        end(Done),
        To(3),
    ),
    step("see that it is reset", Try(&[by(STATE, -3), by(STATE, 3)]), end(Done), To(0)),
];

/// `Barrier`; `room` begins with the number of parties.
pub const BARRIER: Protocol = Protocol {
    name: "Barrier",
    semaphores: &[("state", 0), ("arrived", 0), ("room", 1), ("leader", 1)],
    programs: &[
        ("wait", BARRIER_WAIT),
        ("release", BARRIER_RELEASE),
        ("fail", BARRIER_FAIL),
        ("abort", BARRIER_ABORT),
        ("reset", BARRIER_RESET),
    ],
};

/// All of them.
pub const ALL: [&Protocol; 6] = [&LOCKS, &BOUNDED, &EVENT, &RWLOCK, &CONDITION, &BARRIER];
