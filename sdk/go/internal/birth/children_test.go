package birth

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// beginsAs is the variable for the role of a copy of this test: worker, or parent, which ignores signals.
const beginsAs = "KRT_TEST_BEGINS_AS"

func TestMain(m *testing.M) {
	switch os.Getenv(beginsAs) {
	case "parent":
		signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM)
		os.Exit(hostWith("worker"))
	case "worker":
		os.Exit(worker())
	default:
		os.Exit(m.Run())
	}
}

// hostWith runs a copy of this test in the given role, with a socket as standard input.
func hostWith(as string) int {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		panic(err)
	}
	own := exec.Command(os.Args[0])
	own.Stdin = os.NewFile(uintptr(ends[1]), "engine")
	own.Stdout, own.Stderr = os.Stdout, os.Stderr
	own.Env = append(os.Environ(), beginsAs+"="+as, protocolVariable+"=1")
	if err := own.Run(); err != nil {
		panic(err)
	}
	return 0
}

// worker interrupts itself and then its children, and prints how they ended.
func worker() int {
	for _, number := range []syscall.Signal{syscall.SIGINT} {
		if err := syscall.Kill(os.Getpid(), number); err != nil {
			panic(err)
		}
	}
	for _, name := range []string{"INT", "HUP", "TERM", "PIPE", "QUIT"} {
		err := exec.Command("sh", "-c", "kill -"+name+" $$; exit 7").Run()
		var ended *exec.ExitError
		if !errors.As(err, &ended) {
			panic(err)
		}
		print(name, " ", ended.Sys().(syscall.WaitStatus).Signal(), "\n")
	}
	return 0
}

func TestChildrenStartWithTheDefaultSignals(t *testing.T) {
	const expected = "INT 2\nHUP 1\nTERM 15\nPIPE 13\nQUIT 3\n"
	for _, as := range []string{"worker", "parent"} {
		own := exec.Command(os.Args[0])
		own.Env = append(os.Environ(), beginsAs+"="+as)
		if as == "worker" {
			ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			own.Env = append(own.Env, protocolVariable+"=1")
			own.Stdin = os.NewFile(uintptr(ends[1]), "engine")
		}
		var said strings.Builder
		own.Stderr = &said
		if err := own.Run(); err != nil || said.String() != expected {
			t.Errorf("%s: %v, %q", as, err, said.String())
		}
	}
}
