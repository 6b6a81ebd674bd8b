/*
 * syscall_filter.c: forbid system calls that applications do not need, by seccomp of Linux.
 *
 * The list has what an attacker would use to go on from a worker: calls that look into other processes, change the
 * kernel or what the process sees of the machine, or make namespaces, in which he would be root and reach much more
 * code of the kernel; and, unless programs may be started, execve. They fail with EPERM, as they do for want of a
 * capability. clone3 fails with ENOSYS, since a filter cannot see its flags: libc takes clone then.
 *
 * A list of what is allowed instead would break whatever a library calls tomorrow.
 */
#include "process/sandbox/syscall_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/array.h"

#if defined(__x86_64__)
#define ARCH       AUDIT_ARCH_X86_64
#define FIRST_ODD  0x40000000 /* numbers from here on are calls of the x32 ABI */
#define FLAGS_WORD 0          /* of the arguments of clone, that which holds the flags */
#elif defined(__aarch64__)
#define ARCH       AUDIT_ARCH_AARCH64
#define FIRST_ODD  0x40000000
#define FLAGS_WORD 0
#else
#define ARCH       0 /* no filter */
#define FIRST_ODD  0
#define FLAGS_WORD 0
#endif

#define NAMESPACES                                                                                                     \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

static const int forbidden[] = {
    /* other processes */
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_pidfd_getfd,
    SYS_process_madvise,
    /* what the process sees of the machine */
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_setns,
    SYS_unshare,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_quotactl,
    SYS_quotactl_fd,
    SYS_acct,
    SYS_swapon,
    SYS_swapoff,
    SYS_sethostname,
    SYS_setdomainname,
    /* the kernel */
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_syslog,
    SYS_vhangup,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_clock_adjtime,
    SYS_adjtimex,
#if defined(__x86_64__)
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
    SYS_kexec_file_load,
#endif
};

struct program {
    struct sock_filter code[2 * ARRAY_SIZE(forbidden) + 24];
    unsigned short size;
};

static void program_add(struct program *p, struct sock_filter instruction)
{
    p->code[p->size++] = instruction;
}

static void program_fail(struct program *p, int err)
{
    program_add(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)err));
}

/* Fail if the number of the call, which was loaded, is this one. */
static void program_forbid(struct program *p, int number, int err)
{
    program_add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1));
    program_fail(p, err);
}

/* Calls of other ABIs have other numbers: none of them is allowed. */
static void program_begin(struct program *p)
{
    program_add(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
    program_add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
    program_fail(p, EPERM);
    program_add(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    program_add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_ODD, 0, 1));
    program_fail(p, EPERM);
}

/* At the end: all other calls are allowed, but clone only without namespaces. */
static void program_end(struct program *p)
{
    size_t flags = offsetof(struct seccomp_data, args[FLAGS_WORD]);

    program_add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3));
    program_add(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)flags)); /* the low half */
    program_add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)NAMESPACES, 0, 1));
    program_fail(p, EPERM);
    program_add(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

bool syscall_filter_is_there(void)
{
    uint32_t action = SECCOMP_RET_ERRNO;

    return ARCH && syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int syscall_filter_enforce(bool exec)
{
    struct program p = {.size = 0};
    struct sock_fprog filter = {.filter = p.code};

    program_begin(&p);
    for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
        program_forbid(&p, forbidden[i], EPERM);
    program_forbid(&p, SYS_clone3, ENOSYS);
    if (!exec) {
        program_forbid(&p, SYS_execve, EPERM);
        program_forbid(&p, SYS_execveat, EPERM);
    }
    program_end(&p);
    filter.len = p.size;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0 ? -errno : 0;
}
