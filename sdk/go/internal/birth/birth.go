// Package birth takes what the engine hands to this process: a socket as standard input, and the
// lifeline.
//
// It does so when it is initialised, which Go does for a package before those that import it: so no
// user code has run yet that could read from the socket, or outlive the engine.
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

// Socket gives the engine's socket. The error is ErrNoEngine, or one of the system.
func Socket() (io.ReadWriter, error) {
	return raw(socket), born
}

// SharedSocket gives the engine's socket for a process where several goroutines run at a time: one
// that waits keeps no processor from others.
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

// ErrNoEngine says that no engine has started this process.
var ErrNoEngine error = noEngine{}

func (noEngine) Error() string {
	return "this is a node, which krt starts itself; hint: `krt run` its package"
}

func adopt() (int, error) {
	signal.Ignore(syscall.SIGINT)
	if err := os.Unsetenv(protocolVariable); err != nil {
		return 0, err
	}
	if err := holdLifeline(os.Getenv(lifelineVariable)); err != nil {
		return 0, err
	}
	return takeStdin()
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

// takeStdin takes the socket from where user code would read it.
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
