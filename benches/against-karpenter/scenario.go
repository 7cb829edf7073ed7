package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	v1 "sigs.k8s.io/karpenter/pkg/apis/v1"
)

// Scenario is one moment of a cluster, in the form that karpsim reads.
type Scenario struct {
	Name    string
	Kind    string
	Now     time.Time
	Options struct {
		PreferencePolicy string
		MinValuesPolicy  string
	}
	Catalogue struct {
		File    string
		Include []string
		Catalogue
	}
	RawObjects []json.RawMessage `json:"objects"`

	Types   *Catalogue      `json:"-"`
	Objects []client.Object `json:"-"`
}

// Catalogue is a file of instance types.
type Catalogue struct {
	WellKnownLabels        []string
	RestrictedLabelDomains []string
	NormalizedLabels       map[string]string
	ReservationIDLabel     string
	InstanceTypes          []InstanceType
}

// Overhead is what is kept from pods.
type Overhead struct {
	KubeReserved, SystemReserved, EvictionThreshold corev1.ResourceList
}

// InstanceType is one type of a catalogue.
type InstanceType struct {
	Name         string
	Requirements []corev1.NodeSelectorRequirement
	Capacity     corev1.ResourceList
	Overhead     Overhead
	Offerings    []struct {
		Requirements        []corev1.NodeSelectorRequirement
		Price               float64
		Available           bool
		ReservationCapacity int
		CapacityOverride    corev1.ResourceList
		OverheadOverride    *Overhead
	}
}

func (s *Scenario) methods(only string) []string {
	if s.Kind != "disruption" {
		return []string{"provisioning"}
	}
	if only != "" {
		return []string{only}
	}
	return []string{"multi-node-consolidation", "single-node-consolidation"}
}

func readScenario(file, root string) (*Scenario, error) {
	var scenario Scenario
	if err := readJSON(file, &scenario); err != nil {
		return nil, err
	}
	scenario.Types = &scenario.Catalogue.Catalogue
	if name := scenario.Catalogue.File; name != "" {
		scenario.Types = &Catalogue{}
		path := filepath.Join(root, name)
		if _, err := os.Stat(path); err != nil {
			path += ".zst"
		}
		if err := readJSON(path, scenario.Types); err != nil {
			return nil, err
		}
	}
	if include := scenario.Catalogue.Include; include != nil {
		wanted := map[string]bool{}
		for _, name := range include {
			wanted[name] = true
		}
		var kept []InstanceType
		for _, it := range scenario.Types.InstanceTypes {
			if wanted[it.Name] {
				kept = append(kept, it)
			}
		}
		scenario.Types.InstanceTypes = kept
	}
	for _, raw := range scenario.RawObjects {
		object, err := readObject(raw)
		if err != nil {
			return nil, err
		}
		if object != nil {
			scenario.Objects = append(scenario.Objects, object)
		}
	}
	return &scenario, nil
}

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if strings.HasSuffix(path, ".zst") {
		reader, err := zstd.NewReader(nil)
		if err != nil {
			return err
		}
		defer reader.Close()
		if text, err = reader.DecodeAll(text, nil); err != nil {
			return fmt.Errorf("%s, %w", path, err)
		}
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s, %w", path, err)
	}
	return nil
}

// readObject returns nil for kinds that play no part here.
func readObject(raw json.RawMessage) (client.Object, error) {
	var kind struct{ Kind string }
	if err := json.Unmarshal(raw, &kind); err != nil {
		return nil, err
	}
	var object client.Object
	switch kind.Kind {
	case "Pod":
		object = &corev1.Pod{}
	case "Node":
		object = &corev1.Node{}
	case "Namespace":
		object = &corev1.Namespace{}
	case "PersistentVolume":
		object = &corev1.PersistentVolume{}
	case "PersistentVolumeClaim":
		object = &corev1.PersistentVolumeClaim{}
	case "StorageClass":
		object = &storagev1.StorageClass{}
	case "CSINode":
		object = &storagev1.CSINode{}
	case "DaemonSet":
		object = &appsv1.DaemonSet{}
	case "PodDisruptionBudget":
		object = &policyv1.PodDisruptionBudget{}
	case "NodePool":
		object = &v1.NodePool{}
	case "NodeClaim":
		object = &v1.NodeClaim{}
	default:
		return nil, nil
	}
	if err := json.Unmarshal(raw, object); err != nil {
		return nil, fmt.Errorf("%s, %w", kind.Kind, err)
	}
	// Whose node class it is makes no difference to the work; the fake cloud of Karpenter's tests knows one.
	fake := v1.NodeClassReference{Group: "karpenter.test.sh", Kind: "TestNodeClass", Name: "default"}
	switch object := object.(type) {
	case *v1.NodePool:
		object.Spec.Template.Spec.NodeClassRef = &fake
	case *v1.NodeClaim:
		object.Spec.NodeClassRef = &fake
	}
	return object, nil
}
