//! The layout of every struct that the kernel reads or fills, against the C headers.

use std::fmt::Write as _;
use std::mem::offset_of;
use std::process::Command;

use super::{shm_info, shminfo};

/// Lines `name number` as the C program prints them, and the C expressions of those numbers.
struct Layouts {
    rust: String,
    program: String,
}

impl Layouts {
    fn add(&mut self, expression: &str, ours: usize) {
        let _ = writeln!(self.rust, "{expression} {ours}");
        let _ = writeln!(self.program, "printf(\"%s %zu\\n\", \"{expression}\", {expression});");
    }
}

macro_rules! layouts {
    ($($c_name:literal $type:ty: $($field:ident)*;)*) => {{
        let mut layouts = Layouts { rust: String::new(), program: String::new() };
        $(
            layouts.add(concat!("sizeof(", $c_name, ")"), size_of::<$type>());
            $(layouts.add(
                concat!("offsetof(", $c_name, ", ", stringify!($field), ")"),
                offset_of!($type, $field),
            );)*
        )*
        layouts
    }};
}

/// What a C program prints that has these lines in its `main`.
fn printed(lines: &str) -> String {
    let folder = std::env::temp_dir().join(format!("sysv_ipc_rs-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (source, program) = (folder.join("layout.c"), folder.join("layout"));
    let includes: String = ["sys/ipc", "sys/sem", "sys/msg", "sys/shm", "stddef", "stdio"]
        .map(|header| format!("#include <{header}.h>\n"))
        .concat();
    let text = format!("#define _GNU_SOURCE\n{includes}int main(void) {{\n{lines}return 0;\n}}\n");
    std::fs::write(&source, text).unwrap();
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    assert!(
        Command::new(compiler).arg("-o").arg(&program).arg(&source).status().unwrap().success()
    );
    let output = Command::new(&program).output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_structs_are_laid_out_as_in_c() {
    let layouts = layouts! {
        "struct sembuf" libc::sembuf: sem_num sem_op sem_flg;
        "struct ipc_perm" libc::ipc_perm: __key uid gid cuid cgid mode __seq;
        "struct semid_ds" libc::semid_ds: sem_perm sem_otime sem_ctime sem_nsems;
        "struct seminfo" libc::seminfo:
            semmap semmni semmns semmnu semmsl semopm semume semusz semvmx semaem;
        "struct msqid_ds" libc::msqid_ds:
            msg_perm msg_stime msg_rtime msg_ctime __msg_cbytes msg_qnum msg_qbytes msg_lspid
            msg_lrpid;
        "struct msginfo" libc::msginfo:
            msgpool msgmap msgmax msgmnb msgmni msgssz msgtql msgseg;
        "struct shmid_ds" libc::shmid_ds:
            shm_perm shm_segsz shm_atime shm_dtime shm_ctime shm_cpid shm_lpid shm_nattch;
        "struct shminfo" shminfo: shmmax shmmin shmmni shmseg shmall;
        "struct shm_info" shm_info:
            used_ids shm_tot shm_rss shm_swp swap_attempts swap_successes;
        "struct timespec" libc::timespec: tv_sec tv_nsec;
    };
    assert_eq!(printed(&layouts.program), layouts.rust);
}
