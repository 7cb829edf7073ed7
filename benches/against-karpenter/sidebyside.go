package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// timings is a line of `karpsim decide --timings`.
type timings struct {
	Decide  float64
	Methods map[string]float64
}

// karpsimSeconds runs the program on a scenario file and returns the processor seconds of each decision.
func karpsimSeconds(program, root, file string, ignore bool) (map[string]float64, error) {
	folder, err := os.MkdirTemp("", "against-karpenter-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	lines := filepath.Join(folder, "timings.jsonl")
	arguments := []string{"decide", "--threads", "1", "--root", root, "--timings", lines, file}
	if ignore {
		arguments = append(arguments, "--preference-policy", "Ignore")
	}
	var said bytes.Buffer
	command := exec.Command(program, arguments...)
	command.Stderr = &said
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%s, %w: %s", program, err, said.String())
	}
	written, err := os.ReadFile(lines)
	if err != nil {
		return nil, err
	}
	var line timings
	if err := json.Unmarshal(written, &line); err != nil {
		return nil, fmt.Errorf("timings of %s, %w", file, err)
	}
	seconds := line.Methods
	if len(seconds) == 0 {
		seconds = map[string]float64{"provisioning": line.Decide}
	}
	return seconds, nil
}

// addKarpsim measures karpsim right after Karpenter, on the same machine in the same state, as often.
func (f *Figures) addKarpsim(program, root, file string, ignore bool, runs int) error {
	var all []float64
	for range runs {
		seconds, err := karpsimSeconds(program, root, file, ignore)
		if err != nil {
			return err
		}
		of, ok := seconds[f.Method]
		if !ok {
			return fmt.Errorf("%s wrote no timing of %s", program, f.Method)
		}
		all = append(all, of)
	}
	slices.Sort(all)
	f.Karpsim, f.Ratio = all[len(all)/2], f.Median/all[len(all)/2]
	return nil
}

func (f *Figures) row() string {
	return fmt.Sprintf("| %s | %s | %s | %.3g | %.3g | %.0f × |",
		f.Name, f.Method, f.Outcome, f.Median, f.Karpsim, f.Ratio)
}

const tableHead = `| scenario | method | Karpenter's outcome | Karpenter, s | karpsim, s | ratio |
|---|---|---|--:|--:|--:|`
