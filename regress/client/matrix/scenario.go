// SPDX-License-Identifier: Apache-2.0

// What the Go programs of the matrix share: the connection that the environment
// names, and lines of TAP.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

const each = 50 // records for each codec

var (
	server    = os.Getenv("OX_KAFKA")
	protocol  = os.Getenv("OX_PROTOCOL")
	mechanism = os.Getenv("OX_MECHANISM")
	user      = os.Getenv("OX_USER")
	password  = os.Getenv("OX_PASSWORD")
	name      = os.Getenv("OX_NAME")

	mutex         sync.Mutex
	count, failed int
)

// ok reports one thing; what begins with the part's name and a colon.
func ok(good bool, what string, args ...any) {
	mutex.Lock()
	defer mutex.Unlock()
	count++
	not := ""
	if !good {
		failed++
		not = "not "
	}
	fmt.Printf("%sok %d - %s\n", not, count, fmt.Sprintf(what, args...))
}

func skip(part, why string) { ok(true, "%s: # SKIP %s", part, why) }

type failure struct{ err error }

// must ends the part with an error.
func must(err error) {
	if err != nil {
		panic(failure{err})
	}
}

// part runs one part; what it panics with fails that part alone.
func part(name string, run func()) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", r, debug.Stack())
			ok(false, "%s: %s", name, strings.Join(strings.Fields(fmt.Sprint(r)), " "))
		}
	}()
	run()
}

func until(condition func() bool) bool {
	deadline := time.Now().Add(40 * time.Second)
	for time.Now().Before(deadline) && !condition() {
		time.Sleep(20 * time.Millisecond)
	}
	return condition()
}

func soon() context.Context {
	ctx, _ := context.WithTimeout(context.Background(), 30*time.Second)
	return ctx
}

func encrypted() bool { return strings.Contains(protocol, "SSL") }

func tlsConfig() *tls.Config {
	text, err := os.ReadFile(os.Getenv("OX_CA"))
	must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	made := &tls.Config{RootCAs: pool}
	if file := os.Getenv("OX_CERT"); file != "" {
		pair, err := tls.LoadX509KeyPair(file, os.Getenv("OX_KEY"))
		must(err)
		made.Certificates = []tls.Certificate{pair}
	}
	return made
}

// token is what an identity provider would give.
func token() string {
	text, err := os.ReadFile(os.Getenv("OX_TOKEN"))
	must(err)
	return string(text)
}

// releaseOf is the version of a module that this program was built with.
func releaseOf(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == path {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "?"
}

func end() {
	fmt.Printf("1..%d\n", count)
	if failed > 0 {
		os.Exit(1)
	}
	os.Exit(0)
}
