// Command against-karpenter measures what Karpenter itself needs for the scenarios of the benchmarks.
//
// It reads a scenario file, builds Karpenter's cluster state and scheduler from it, and times the decision alone: Solve
// for provisioning, ComputeCommands for consolidation. Building, reading and parsing are not counted, and the state is
// built anew for every run. Karpenter is the published module, unaltered; it runs with one worker, as its
// --cpu-requests default makes it, and lists objects from a store in memory that copies what it hands out, as the cache
// of a live controller does.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/karpenter/pkg/operator/logging"
)

// Figures are what is printed for each decision.
type Figures struct {
	Name    string    `json:"name"`
	Method  string    `json:"method"`
	Best    float64   `json:"best"`
	Median  float64   `json:"median"`
	Seconds []float64 `json:"seconds"`
	Wall    []float64 `json:"wall"`
	Outcome string    `json:"outcome"`
	Karpsim float64   `json:"karpsim,omitempty"`
	Ratio   float64   `json:"ratio,omitempty"`
}

// Decision is prepared beforehand and run once.
type Decision struct {
	Run func() (outcome string, err error)
}

func main() {
	runs := flag.Int("runs", 3, "how often each decision is measured")
	root := flag.String("root", "data/conformance", "folder that the scenario's catalogue is looked for in")
	method := flag.String("method", "", "of consolidation: multi-node-consolidation or single-node-consolidation (default: both)")
	karpsim := flag.String("karpsim", "", "the program to compare with: prints a table of both and their ratio (medians)")
	ignore := flag.Bool("ignore-preferences", false, "measure with preferencePolicy Ignore")
	flag.Parse()
	log.SetLogger(logging.NopLogger)
	if *karpsim != "" {
		fmt.Println(tableHead)
	}
	for _, file := range flag.Args() {
		if err := measure(file, *root, *method, *karpsim, *ignore, *runs); err != nil {
			fmt.Fprintf(os.Stderr, "against-karpenter: %s: %v\n", file, err)
			os.Exit(2)
		}
	}
}

func measure(file, root, method, karpsim string, ignore bool, runs int) error {
	scenario, err := readScenario(file, root)
	if err != nil {
		return err
	}
	if ignore {
		scenario.Options.PreferencePolicy = "Ignore"
		scenario.Name += " (Ignore)"
	}
	for _, name := range scenario.methods(method) {
		figures := Figures{Name: scenario.Name, Method: name}
		for range runs {
			decision, err := prepare(scenario, name)
			if err != nil {
				return err
			}
			processor, wall := processorSeconds(), time.Now()
			outcome, err := decision.Run()
			if err != nil {
				return err
			}
			figures.Seconds = append(figures.Seconds, processorSeconds()-processor)
			figures.Wall = append(figures.Wall, time.Since(wall).Seconds())
			figures.Outcome = outcome
		}
		sorted := slices.Sorted(slices.Values(figures.Seconds))
		figures.Best, figures.Median = sorted[0], sorted[len(sorted)/2]
		if karpsim != "" {
			if err := figures.addKarpsim(karpsim, root, file, ignore, runs); err != nil {
				return err
			}
			fmt.Println(figures.row())
			continue
		}
		line, err := json.Marshal(figures)
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
	return nil
}

// processorSeconds of this process so far, of all its threads; the garbage collector's are among them.
func processorSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
