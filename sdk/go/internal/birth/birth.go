// Package birth takes over the socket on standard input and the lifeline from the engine.
//
// It does so during its initialisation, which in Go precedes that of the importing packages: no user code has
// run yet that could read from the socket, or outlive the engine.
package birth

import (
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

const (
	protocolVariable = "KRT_NODE_PROTOCOL"
	lifelineVariable = "KRT_LIFELINE"
)

var (
	socket int
	born   error
)

func init() {
	if _, is := os.LookupEnv(protocolVariable); !is {
		born = ErrNoEngine
		return
	}
	socket, born = adopt()
}

// Socket returns the engine's socket. The error is ErrNoEngine or a system error.
func Socket() (io.ReadWriter, error) {
	return raw(socket), born
}

// SharedSocket returns the engine's socket for a process with several running goroutines: a goroutine that
// waits for it does not occupy a processor.
func SharedSocket() (io.ReadWriter, error) {
	if born != nil {
		return nil, born
	}
	if err := syscall.SetNonblock(socket, true); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(socket), "engine"), nil
}

type noEngine struct{}

// ErrNoEngine is the error of a process without an engine.
var ErrNoEngine error = noEngine{}

func (noEngine) Error() string {
	return "this is a node, which krt starts itself; hint: `krt run` its package"
}

func adopt() (int, error) {
	ignoreInterrupts()
	if err := os.Unsetenv(protocolVariable); err != nil {
		return 0, err
	}
	if err := holdLifeline(os.Getenv(lifelineVariable)); err != nil {
		return 0, err
	}
	return takeStdin()
}

// ignoreInterrupts makes SIGINT do nothing: the engine handles Ctrl-C and lets workers finish their work. It
// catches the signal instead of ignoring it, since programs that user code executes inherit ignored signals
// and would survive SIGINT. The same holds for an inherited, ignored SIGHUP, which Go leaves ignored.
func ignoreInterrupts() {
	caught := []os.Signal{syscall.SIGINT}
	if signal.Ignored(syscall.SIGHUP) {
		caught = append(caught, syscall.SIGHUP)
	}
	// The channel has no reader: further signals are dropped.
	signal.Notify(make(chan os.Signal, 1), caught...)
}

func holdLifeline(number string) error {
	if number == "" {
		return nil
	}
	descriptor, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	hold(descriptor)
	return os.Unsetenv(lifelineVariable)
}

// takeStdin takes over the socket from standard input, before user code can read it.
func takeStdin() (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	taken, err := syscall.Dup(0)
	if err != nil {
		return 0, os.NewSyscallError("dup", err)
	}
	syscall.CloseOnExec(taken)
	null, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("open", err)
	}
	if err := replace(null, 0); err != nil {
		return 0, os.NewSyscallError("dup2", err)
	}
	return taken, syscall.Close(null)
}
