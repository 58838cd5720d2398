package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// size is a number of bytes; a trailing "/s" is allowed, so that one type serves sizes and rates.
type size int64

var units = []struct {
	suffix string
	factor float64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}, {"", 1},
}

func (s *size) String() string { return strconv.FormatInt(int64(*s), 10) }

// Set reads what a person writes: 64MiB, 8MiB/s, 4096.
func (s *size) Set(text string) error {
	number := strings.TrimSuffix(text, "/s")
	for _, unit := range units {
		if strings.HasSuffix(number, unit.suffix) {
			value, err := strconv.ParseFloat(strings.TrimSuffix(number, unit.suffix), 64)
			if err != nil || value < 0 {
				return fmt.Errorf("%q is not a size such as 64MiB", text)
			}
			*s = size(value * unit.factor)
			return nil
		}
	}
	return fmt.Errorf("%q is not a size such as 64MiB", text)
}

// options is a command's flag set; each command also has --for.
type options struct {
	*flag.FlagSet
	length *time.Duration
}

func newOptions(name string) options {
	set := flag.NewFlagSet(name, flag.ExitOnError)
	return options{set, set.Duration("for", 0, "how long to work; 0s: until told to stop")}
}

func (o options) size(name string, value size, usage string) *size {
	held := value
	o.Var(&held, name, usage)
	return &held
}

// parse reads the flags and returns the moment at which the work ends.
func (o options) parse(arguments []string) time.Time {
	_ = o.Parse(arguments)
	if o.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "workload %s: what is %q?\n", o.Name(), o.Arg(0))
		os.Exit(2)
	}
	if *o.length == 0 {
		return time.Now().AddDate(100, 0, 0)
	}
	return time.Now().Add(*o.length)
}
