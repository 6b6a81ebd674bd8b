/* stack_report.h: say what the OS thread of the event loop is doing, for the log and for the master. */
#ifndef WORKER_STACK_REPORT_H
#define WORKER_STACK_REPORT_H

#include <signal.h>
#include <stdint.h>

/* What the value of the signal, sent with SI_QUEUE, asks for; without one it is a line in the log. */
enum stack_question {
    STACK_LOOK = 0x53594e01, /* nothing to be written: see sl_local.blocks */
    STACK_LOG,               /* the same, and a line in the log */
    STACK_TELL,              /* a report to the master */
    STACK_SAMPLE,            /* a sample of a profile */
};

#define STACK_SIGNAL (SIGRTMIN + 1)

/* Answer the signal from now on, in this OS thread. channel: to the master, borrowed. In a process that was forked by
 * one that has called this already, it is to be called again. */
void stack_report_init(int channel);

/* In another OS thread: ask the one that called stack_report_init what has blocked the event loop since then, a time of
 * CLOCK_MONOTONIC in nanoseconds. */
void stack_report_ask(enum stack_question question, int64_t since);

/* In another OS thread: have a sample of a profile taken (inside/profile.h). */
void stack_report_sample(void);

/* In the master: ask the process that. Its answer is a CHANNEL_REPORT. Returns 0 or -errno. */
int stack_report_ask_process(pid_t pid);

#endif
