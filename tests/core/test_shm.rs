//! Shared memory: segments, attachments, words, limits.

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use sysv_ipc_rs::ipc::{Key, Mode, PermissionChange};
use sysv_ipc_rs::shm::{AttachOptions, Attachment, CreateOptions, SharedMemory};
use sysv_ipc_rs::{Error, ErrorKind};

use crate::support::{
    MODE, NOBODY, SOMEBODY, Temporary, alone, as_user, child, free_key, in_child, in_namespace,
    is_root, our_uid, segment, wait_until,
};

const PLAIN: CreateOptions = CreateOptions { huge_page_size: None, reserve: true };
const READONLY: AttachOptions =
    AttachOptions { readonly: true, executable: false, address: None, round_address: false };
const PAGE: usize = 4096;

fn kind_of<T: std::fmt::Debug>(answer: Result<T, Error>) -> ErrorKind {
    answer.expect_err("an error").kind()
}

fn attach(memory: &SharedMemory) -> Attachment {
    memory.attach(AttachOptions::default()).unwrap()
}

fn bytes<const N: usize>(attachment: &Attachment, offset: usize) -> [u8; N] {
    let mut bytes = [0xff; N];
    attachment.read(offset, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_new_segment_is_zeros_and_nobodys_memory() {
    let memory = segment(10_000);
    let stat = memory.stat().unwrap();
    assert_eq!((stat.size, stat.attached, stat.atime, stat.dtime), (10_000, 0, 0, 0));
    assert_eq!((stat.last_pid, stat.creator_pid), (0, std::process::id().cast_signed()));
    assert!(!stat.marked_for_removal && !stat.locked);
    assert_eq!(bytes::<10_000>(&attach(&memory), 0), [0; 10_000]);
}

#[test]
fn attachments_share_and_drop_detaches() {
    alone(|| {
        let memory = segment(100);
        let (one, two) = (attach(&memory), attach(&memory));
        assert_ne!(one.address(), two.address());
        assert_eq!((one.size(), one.segment().id(), one.readonly()), (100, memory.id(), false));
        one.write(95, b"hello").unwrap();
        assert_eq!(&bytes(&two, 95), b"hello");
        assert_eq!(memory.stat().unwrap().attached, 2);
        drop(one);
        assert_eq!(memory.stat().unwrap().attached, 1);
        assert_eq!(&bytes(&two, 95), b"hello");
        drop(two);
        assert_eq!(memory.stat().unwrap().attached, 0);
        assert_eq!(&bytes(&attach(&memory), 95), b"hello");
    });
}

#[test]
fn no_byte_outside_the_segment_is_read_or_written() {
    let memory = segment(100);
    let attachment = attach(&memory);
    for (offset, len) in [(100, 1), (0, 101), (99, 2), (usize::MAX, 1), (usize::MAX, usize::MAX)] {
        let refused = [
            attachment.read(offset, &mut vec![0; len.min(200)]),
            attachment.write(offset, &vec![0; len.min(200)]),
            attachment.fill(offset, len, 1),
        ];
        for answer in refused {
            assert_eq!(answer.unwrap_err().errno(), Errno::EINVAL, "{offset} {len}");
        }
    }
    attachment.write(100, b"").unwrap();
    attachment.read(100, &mut []).unwrap();
    assert_eq!(bytes::<100>(&attachment, 0), [0; 100]);
}

#[test]
fn a_readonly_attachment_is_read_only() {
    let memory = segment(8);
    let (writer, reader) = (attach(&memory), memory.attach(READONLY).unwrap());
    writer.fill(0, 8, 7).unwrap();
    assert!(reader.readonly());
    assert_eq!(bytes(&reader, 0), [7; 8]);
    for answer in
        [reader.write(0, b"x"), reader.fill(0, 1, 0), reader.atomic::<AtomicU64>(0).map(drop)]
    {
        assert_eq!(answer.unwrap_err().errno(), Errno::EACCES);
    }
    assert_eq!(bytes(&reader, 0), [7; 8]);
}

#[test]
fn words_are_aligned_and_inside() {
    let memory = segment(16);
    let attachment = attach(&memory);
    for offset in [4, 12] {
        attachment.atomic::<AtomicI32>(offset).unwrap().store(-1, Ordering::SeqCst);
        attachment.atomic::<AtomicU32>(offset).unwrap().fetch_add(2, Ordering::SeqCst);
        assert_eq!(bytes(&attachment, offset), 1i32.to_ne_bytes());
    }
    attachment.atomic::<AtomicI64>(8).unwrap().store(5, Ordering::SeqCst);
    for offset in [1, 4, 12, 16, 17, usize::MAX - 7] {
        assert_eq!(attachment.atomic::<AtomicU64>(offset).unwrap_err().errno(), Errno::EINVAL);
    }
    assert_eq!(attachment.atomic::<AtomicU32>(14).unwrap_err().errno(), Errno::EINVAL);
}

#[test]
fn no_addition_to_a_word_is_lost_between_processes() {
    let memory = segment(8);
    let add = || {
        let attachment = attach(&memory);
        let word = attachment.atomic::<AtomicU64>(0).unwrap();
        for _ in 0..20_000 {
            word.fetch_add(1, Ordering::SeqCst);
        }
    };
    let children = [child(add), child(add)];
    add();
    for child in children {
        child.succeed();
    }
    assert_eq!(u64::from_ne_bytes(bytes(&attach(&memory), 0)), 60_000);
}

#[test]
fn an_address_is_taken_rounded_or_refused_but_never_replaces_memory() {
    alone(|| {
        let memory = segment(PAGE);
        let free = attach(&memory).address();
        let at = |address, round_address| {
            let options =
                AttachOptions { address: Some(address), round_address, ..Default::default() };
            memory.attach(options)
        };
        let here = at(free, false).unwrap();
        assert_eq!(here.address(), free);
        here.write(0, b"kept").unwrap();
        for (address, round) in
            [(free, false), (free + 1, true), (free + 1, false), (0, false), (9, true)]
        {
            let error = at(address, round).unwrap_err();
            assert_eq!(
                (error.kind(), error.errno()),
                (ErrorKind::Other, Errno::EINVAL),
                "{address}"
            );
        }
        assert_eq!(&bytes(&here, 0), b"kept");
        drop(here);
        assert_eq!(at(free + 5, true).unwrap().address(), free);
        let far = at(usize::MAX - PAGE + 1, false).unwrap_err();
        assert!(matches!(far.errno(), Errno::ENOMEM | Errno::EINVAL), "{far}");
        assert_eq!(memory.stat().unwrap().attached, 0);
    });
}

#[test]
fn removal_waits_for_the_last_attachment() {
    alone(|| {
        let key = free_key();
        let memory = SharedMemory::create(key, 10, MODE, PLAIN).unwrap();
        let attachment = attach(&memory);
        memory.remove().unwrap();
        assert_eq!(kind_of(SharedMemory::open(key, 0)), ErrorKind::NotFound);
        let stat = memory.stat().unwrap();
        assert_eq!((stat.marked_for_removal, stat.permissions.key), (true, Key::PRIVATE));
        assert_eq!(stat.permissions.access(), MODE);
        let error = memory.remove().unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Removed, Errno::EIDRM));
        let other = attach(&SharedMemory::from_id(memory.id()).unwrap());
        attachment.write(0, b"x").unwrap();
        assert_eq!(&bytes(&other, 0), b"x");
        drop((attachment, other));
        for answer in [
            memory.stat().map(drop),
            memory.attach(AttachOptions::default()).map(drop),
            memory.attach(AttachOptions { address: Some(PAGE * 1000), ..READONLY }).map(drop),
            memory.remove(),
            memory.lock_memory(),
            memory.unlock_memory(),
            memory.set_permissions(PermissionChange::default()),
            memory.check_owner(0),
            SharedMemory::from_id(memory.id()).map(drop),
        ] {
            let error = answer.unwrap_err();
            assert_eq!(
                (error.kind(), error.errno()),
                (ErrorKind::Removed, Errno::EIDRM),
                "{error}"
            );
        }
    });
}

#[test]
fn auto_remove_leaves_nothing_also_after_sigkill() {
    in_namespace(&[], || {
        let (memory, attachment) = SharedMemory::create_auto_remove(10, MODE, PLAIN).unwrap();
        let other = child(|| {
            let theirs = attach(&memory);
            theirs.write(0, b"up").unwrap();
            thread::sleep(Duration::from_mins(1));
        });
        wait_until("it has attached", || &bytes(&attachment, 0) == b"up");
        drop(attachment);
        assert!(memory.stat().unwrap().marked_for_removal);
        other.kill_and_wait();
        assert_eq!(kind_of(memory.stat()), ErrorKind::Removed);
        assert_eq!(sysv_ipc_rs::system::usage().unwrap().segments, 0);
        let refused = SharedMemory::create_auto_remove(0, MODE, PLAIN);
        assert_eq!(refused.unwrap_err().errno(), Errno::EINVAL);
    });
    in_namespace(&[], || {
        as_user(NOBODY, || {
            let hidden = SharedMemory::create_auto_remove(10, Mode::new(0).unwrap(), PLAIN);
            assert_eq!(kind_of(hidden), ErrorKind::AccessDenied, "it can't be attached");
        });
        assert_eq!(sysv_ipc_rs::system::usage().unwrap().segments, 0, "nothing is left");
    });
}

#[test]
fn a_forked_child_has_the_memory_and_its_drop_is_its_own() {
    alone(|| {
        let memory = segment(10);
        let attachment = std::sync::Mutex::new(Some(attach(&memory)));
        in_child(|| {
            assert_eq!(memory.stat().unwrap().attached, 2);
            let inherited = attachment.lock().unwrap().take().unwrap();
            inherited.write(0, b"child").unwrap();
            drop(inherited);
            assert_eq!(memory.stat().unwrap().attached, 1);
        });
        let attachment = attachment.into_inner().unwrap().unwrap();
        assert_eq!(&bytes(&attachment, 0), b"child");
        assert_eq!(memory.stat().unwrap().attached, 1);
    });
}

#[test]
fn create_and_open_say_what_is_wrong() {
    let key = free_key();
    let create = |size| SharedMemory::create(key, size, MODE, PLAIN);
    let empty = create(0).unwrap_err();
    assert_eq!((empty.kind(), empty.errno()), (ErrorKind::Other, Errno::EINVAL));
    let huge = create(usize::MAX).unwrap_err();
    assert_eq!((huge.kind(), huge.limit().unwrap().name), (ErrorKind::LimitExceeded, "SHMMAX"));
    assert_eq!(kind_of(SharedMemory::open(key, 0)), ErrorKind::NotFound);
    let memory = Temporary(create(100).unwrap());
    assert_eq!(kind_of(create(100)), ErrorKind::AlreadyExists);
    assert_eq!(kind_of(create(usize::MAX)), ErrorKind::AlreadyExists);
    let opened = SharedMemory::open(key, 100).unwrap();
    assert_eq!((opened.id(), opened.size(), opened.key()), (memory.id(), 100, key));
    let bigger = SharedMemory::open(key, 101).unwrap_err();
    assert_eq!((bigger.kind(), bigger.errno()), (ErrorKind::Other, Errno::EINVAL));
    assert!(bigger.to_string().contains("101 bytes, but the one that exists has 100"), "{bigger}");
    let again = SharedMemory::open_or_create(key, 50, MODE, Some(our_uid())).unwrap();
    assert_eq!((again.id(), again.size()), (memory.id(), 100));
    let other = SharedMemory::open_or_create(key, 50, MODE, Some(SOMEBODY));
    assert_eq!(kind_of(other), ErrorKind::UntrustedOwner);
    assert_eq!(SharedMemory::open(Key::PRIVATE, 0).unwrap_err().errno(), Errno::EINVAL);
}

#[test]
fn huge_pages_are_a_power_of_two_and_reserved() {
    let create = |huge_page_size, reserve| {
        let options = CreateOptions { huge_page_size: Some(huge_page_size), reserve };
        SharedMemory::create(Key::PRIVATE, 1 << 21, MODE, options)
    };
    for (size, reserve) in [(0, true), (1, true), (3, true), (u64::MAX, true), (1 << 21, false)] {
        let error = create(size, reserve).unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Other, Errno::EINVAL), "{size}");
    }
    for size in [2, 1 << 13, 1 << 63] {
        let error = create(size, true).unwrap_err();
        assert!(!is_root() || error.to_string().contains("/sys/kernel/mm/hugepages"), "{error}");
    }
    match create(1 << 21, true) {
        Ok(memory) => drop(Temporary(memory)),
        Err(error) => {
            let file = if is_root() { "nr_hugepages" } else { "hugetlb_shm_group" };
            assert!(error.to_string().contains(file), "{error}");
        }
    }
}

#[test]
fn what_is_not_reserved_can_be_larger_than_memory() {
    let options = CreateOptions { huge_page_size: None, reserve: false };
    let memory = Temporary(SharedMemory::create(Key::PRIVATE, 1 << 40, MODE, options).unwrap());
    let attachment = attach(&memory);
    attachment.write((1 << 40) - 1, b"x").unwrap();
    assert_eq!(&bytes(&attachment, (1 << 40) - 1), b"x");
}

#[test]
fn memory_is_locked_and_unlocked() {
    let memory = segment(PAGE);
    memory.lock_memory().unwrap();
    memory.lock_memory().unwrap();
    let stat = memory.stat().unwrap();
    assert_eq!((stat.locked, stat.permissions.access()), (true, MODE));
    memory.unlock_memory().unwrap();
    assert!(!memory.stat().unwrap().locked);
    as_user(NOBODY, || {
        assert_eq!(memory.lock_memory().unwrap_err().errno(), Errno::EPERM);
        setrlimit(Resource::RLIMIT_MEMLOCK, 64 << 10, 64 << 10).unwrap();
        let own = Temporary(SharedMemory::create(Key::PRIVATE, 256 << 10, MODE, PLAIN).unwrap());
        let error = own.lock_memory().unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::LimitExceeded, Errno::ENOMEM));
        assert!(error.to_string().contains("RLIMIT_MEMLOCK"), "{error}");
    });
}

#[test]
fn the_mode_decides_what_strangers_may() {
    let (closed, readable) = (segment(10), segment(10));
    let mode = PermissionChange { mode: Mode::new(0o644), ..Default::default() };
    readable.set_permissions(mode).unwrap();
    as_user(NOBODY, || {
        for answer in [
            closed.attach(AttachOptions::default()),
            closed.attach(READONLY),
            readable.attach(AttachOptions::default()),
        ] {
            let error = answer.unwrap_err();
            assert_eq!((error.kind(), error.errno()), (ErrorKind::AccessDenied, Errno::EACCES));
        }
        readable.attach(READONLY).unwrap();
        assert_eq!(closed.stat().unwrap().size, 10, "what anybody may see");
        assert_eq!(SharedMemory::from_id(closed.id()).unwrap().size(), 10);
        for answer in [readable.remove(), readable.set_permissions(mode)] {
            let error = answer.unwrap_err();
            assert_eq!((error.kind(), error.errno()), (ErrorKind::AccessDenied, Errno::EPERM));
        }
        assert_eq!(kind_of(closed.check_owner(0)), ErrorKind::UntrustedOwner);
        readable.check_owner(0).unwrap();
    });
}

#[test]
fn without_address_space_nothing_is_attached() {
    alone(|| {
        let memory = segment(1 << 28);
        in_child(|| {
            setrlimit(Resource::RLIMIT_AS, 1 << 27, 1 << 27).unwrap();
            let error = memory.attach(AttachOptions::default()).unwrap_err();
            assert_eq!((error.kind(), error.errno()), (ErrorKind::LimitExceeded, Errno::ENOMEM));
        });
        assert_eq!(memory.stat().unwrap().attached, 0);
    });
}

#[test]
fn every_limit_of_segments_is_named_with_its_value_and_file() {
    in_namespace(&[("shmmni", "2"), ("shmall", "10"), ("shmmax", "32768")], || {
        let create = |size| SharedMemory::create(Key::PRIVATE, size, MODE, PLAIN);
        let failed = |size| {
            let error = create(size).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LimitExceeded);
            let limit = *error.limit().unwrap();
            (error.errno(), limit.name, limit.value, limit.used, limit.file.unwrap())
        };
        let file = |name: &str| format!("/proc/sys/kernel/{name}");
        let (shmmax, shmall, shmmni) = (file("shmmax"), file("shmall"), file("shmmni"));
        assert_eq!(failed(32769), (Errno::EINVAL, "SHMMAX", 32768, None, shmmax.as_str()));
        create(8 * PAGE).unwrap();
        assert_eq!(failed(3 * PAGE), (Errno::ENOSPC, "SHMALL", 10, Some(8), shmall.as_str()));
        create(1).unwrap();
        assert_eq!(failed(1), (Errno::ENOSPC, "SHMMNI", 2, Some(2), shmmni.as_str()));
    });
}
