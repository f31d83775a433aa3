package live

import (
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// thread is an operating system thread in a network namespace of its own.
//
// The thread belongs to one goroutine that never unlocks it, so Go ends the
// thread with the goroutine and never lets other goroutines run in its
// namespace. Threads that Go starts meanwhile are not its children.
type thread struct {
	jobs chan job
	quit chan struct{} // closed by stop
	done chan struct{} // closed when the goroutine ends
	once sync.Once
	// tid and nsFD are set before newThread returns and not changed after.
	tid  int
	nsFD int
}

type job struct {
	f   func() error
	err chan<- error
}

// newThread starts a thread in a new network namespace.
func newThread() (*thread, error) {
	t := &thread{jobs: make(chan job), quit: make(chan struct{}), done: make(chan struct{}), nsFD: -1}
	started := make(chan error)
	go t.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return t, nil
}

func (t *thread) run(started chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The process's first thread cannot end before the process, and
		// /proc/self would show its namespace as everybody's. Hold it until
		// another thread has been found.
		inner := make(chan error)
		go t.run(inner)
		started <- <-inner
		runtime.UnlockOSThread()
		return
	}
	defer close(t.done)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		started <- fmt.Errorf("new network namespace: %w", err)
		return
	}
	t.tid = unix.Gettid()
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		started <- fmt.Errorf("open own network namespace: %w", err)
		return
	}
	t.nsFD = fd
	defer unix.Close(fd)
	started <- nil
	for {
		select {
		case j := <-t.jobs:
			j.err <- j.f()
		case <-t.quit:
			return
		}
	}
}

// do runs f on the thread and waits for it. f may call do.
func (t *thread) do(f func() error) error {
	select {
	case <-t.done:
		return ErrClosed
	default:
	}
	// Not done, the thread is alive, so nobody else has its number.
	if unix.Gettid() == t.tid {
		return f()
	}
	err := make(chan error, 1)
	select {
	case t.jobs <- job{f, err}:
		return <-err
	case <-t.done:
		return ErrClosed
	}
}

// stop ends the thread, and with it the namespace unless someone else holds it.
func (t *thread) stop() {
	t.once.Do(func() { close(t.quit) })
	<-t.done
}
