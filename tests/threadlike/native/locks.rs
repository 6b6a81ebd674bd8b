// Locks of Rust's std, as an extension uses them. Each function is called by several threads at once.
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Barrier, Condvar, Mutex, Once, OnceLock, RwLock};
use std::thread;
use std::time::Duration;

fn nap(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

#[no_mangle]
pub extern "C" fn rust_mutex() -> i32 {
    static LOCK: Mutex<i32> = Mutex::new(0);
    let mut good = 1;
    for _ in 0..5 {
        let mut inside = LOCK.lock().unwrap();
        *inside += 1;
        nap(2);
        good &= (*inside == 1) as i32;
        *inside -= 1;
    }
    good
}

#[no_mangle]
pub extern "C" fn rust_condvar(count: i32) -> i32 {
    static HERE: Mutex<i32> = Mutex::new(0);
    static CHANGED: Condvar = Condvar::new();
    let mut here = HERE.lock().unwrap();
    *here += 1;
    let last = *here == count;
    if last {
        CHANGED.notify_all();
    }
    while *here < count {
        here = CHANGED.wait(here).unwrap();
    }
    last as i32
}

#[no_mangle]
pub extern "C" fn rust_timeout() -> i32 {
    let lock = Mutex::new(());
    let result = Condvar::new().wait_timeout(lock.lock().unwrap(), Duration::from_millis(30)).unwrap();
    result.1.timed_out() as i32
}

#[no_mangle]
pub extern "C" fn rust_rwlock() -> i32 {
    static LOCK: RwLock<i32> = RwLock::new(0);
    for _ in 0..5 {
        {
            let _value = LOCK.read().unwrap();
            nap(2);
        }
        let mut value = LOCK.write().unwrap();
        let before = *value;
        nap(1);
        *value = before + 1;
    }
    1
}

#[no_mangle]
pub extern "C" fn rust_once() -> i32 {
    static ONCE: Once = Once::new();
    static CALLS: AtomicI32 = AtomicI32::new(0);
    ONCE.call_once(|| {
        nap(20);
        CALLS.fetch_add(1, SeqCst);
    });
    CALLS.load(SeqCst)
}

#[no_mangle]
pub extern "C" fn rust_barrier(count: i32) -> i32 {
    static BARRIER: OnceLock<Barrier> = OnceLock::new();
    let barrier = BARRIER.get_or_init(|| Barrier::new(count as usize));
    let mut leader = 0;
    for _ in 0..20 {
        leader += barrier.wait().is_leader() as i32;
    }
    leader
}

#[no_mangle]
pub extern "C" fn rust_thread() -> i32 {
    thread::spawn(|| {
        nap(20);
        17
    })
    .join()
    .unwrap()
}

#[no_mangle]
pub extern "C" fn rust_channel() -> i32 {
    let (sender, receiver): (Sender<i32>, Receiver<i32>) = channel();
    let helper = thread::spawn(move || {
        for i in 0..5 {
            nap(2);
            sender.send(i).unwrap();
        }
    });
    let sum = receiver.iter().sum();
    helper.join().unwrap();
    sum
}
