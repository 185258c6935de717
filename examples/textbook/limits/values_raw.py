"""semctl, msgctl and shmctl with IPC_INFO, by the C API: struct seminfo, msginfo, shminfo.

Prints:
    semmsl N, semmns N, semopm N, semmni N
    msgmni N, msgmax N, msgmnb N
    shmall N, shmmax N, shmmin 1, shmmni N
"""

from sysv_ipc_rs.raw import IPC_INFO, msgctl, semctl, shmctl

_, sem = semctl(0, 0, IPC_INFO)
_, msg = msgctl(0, IPC_INFO)
_, shm = shmctl(0, IPC_INFO)
print(f"semmsl {sem.semmsl}, semmns {sem.semmns}, semopm {sem.semopm}, semmni {sem.semmni}")
print(f"msgmni {msg.msgmni}, msgmax {msg.msgmax}, msgmnb {msg.msgmnb}")
print(f"shmall {shm.shmall}, shmmax {shm.shmmax}, shmmin {shm.shmmin}, shmmni {shm.shmmni}")
