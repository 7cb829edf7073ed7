package main

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/awslabs/operatorpkg/option"
	"github.com/samber/lo"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/cloudprovider/fake"
	"sigs.k8s.io/karpenter/pkg/controllers/disruption"
	"sigs.k8s.io/karpenter/pkg/controllers/provisioning"
	"sigs.k8s.io/karpenter/pkg/controllers/provisioning/scheduling"
	"sigs.k8s.io/karpenter/pkg/controllers/state"
	"sigs.k8s.io/karpenter/pkg/events"
	"sigs.k8s.io/karpenter/pkg/operator/injection"
	"sigs.k8s.io/karpenter/pkg/operator/options"
	"sigs.k8s.io/karpenter/pkg/test"
)

// world is Karpenter around a scenario.
type world struct {
	ctx         context.Context
	clock       *clocktesting.FakeClock
	client      client.Client
	cloud       *fake.CloudProvider
	cluster     *state.Cluster
	recorder    events.Recorder
	provisioner *provisioning.Provisioner
}

func newWorld(scenario *Scenario) (*world, error) {
	objects := make([]client.Object, 0, len(scenario.Objects))
	for _, object := range scenario.Objects {
		objects = append(objects, object.DeepCopyObject().(client.Object))
	}
	// State is fed in the order of names, as the recordings were.
	sort.SliceStable(objects, func(i, j int) bool {
		a, b := objects[i], objects[j]
		return a.GetNamespace()+"/"+a.GetName() < b.GetNamespace()+"/"+b.GetName()
	})
	karpenterOptions := test.Options(test.OptionsFields{
		CPURequests:       lo.ToPtr[int64](1000),
		IgnoreDRARequests: lo.ToPtr(true),
		PreferencePolicy:  lo.ToPtr(options.PreferencePolicy(lo.CoalesceOrEmpty(scenario.Options.PreferencePolicy, "Respect"))),
		MinValuesPolicy:   lo.ToPtr(options.MinValuesPolicy(lo.CoalesceOrEmpty(scenario.Options.MinValuesPolicy, "Strict"))),
	})
	w := &world{
		ctx:      options.ToContext(injection.WithControllerName(context.Background(), "against-karpenter"), karpenterOptions),
		clock:    clocktesting.NewFakeClock(scenario.Now),
		client:   newStore(objects),
		cloud:    fake.NewCloudProvider(),
		recorder: events.NewRecorder(&record.FakeRecorder{}),
	}
	w.cloud.InstanceTypes = instanceTypes(scenario.Types)
	w.cluster = state.NewCluster(w.clock, w.client, w.cloud)
	w.provisioner = provisioning.NewProvisioner(w.client, w.recorder, w.cloud, w.cluster, w.clock, nil, nil)
	return w, w.feed(objects)
}

func (w *world) feed(objects []client.Object) error {
	for _, claim := range of[*v1.NodeClaim](objects) {
		w.cluster.UpdateNodeClaim(claim)
	}
	for _, node := range of[*corev1.Node](objects) {
		if err := w.cluster.UpdateNode(w.ctx, node); err != nil {
			return err
		}
	}
	for _, pod := range of[*corev1.Pod](objects) {
		if err := w.cluster.UpdatePod(w.ctx, pod); err != nil {
			return err
		}
	}
	for _, set := range of[*appsv1.DaemonSet](objects) {
		if err := w.cluster.UpdateDaemonSet(w.ctx, set); err != nil {
			return err
		}
	}
	w.cluster.SetSynced(true)
	w.cluster.MarkUnconsolidated()
	return nil
}

func of[T client.Object](objects []client.Object) []T {
	return lo.FilterMap(objects, func(object client.Object, _ int) (T, bool) {
		typed, ok := object.(T)
		return typed, ok
	})
}

// prepare builds all that a decision needs, so that Run is the decision alone.
func prepare(scenario *Scenario, method string) (*Decision, error) {
	w, err := newWorld(scenario)
	if err != nil {
		return nil, err
	}
	switch method {
	case "provisioning":
		return w.prepareProvisioning()
	case "multi-node-consolidation", "single-node-consolidation":
		return w.prepareConsolidation(method)
	default:
		return nil, fmt.Errorf("there is no method %q", method)
	}
}

func (w *world) prepareProvisioning() (*Decision, error) {
	nodes := w.cluster.DeepCopyNodes()
	pods, err := w.provisioner.GetPendingPods(w.ctx)
	if err != nil {
		return nil, err
	}
	opts := []scheduling.Options{
		scheduling.DisableReservedCapacityFallback,
		scheduling.NumConcurrentReconciles(1),
		scheduling.MinValuesPolicy(options.FromContext(w.ctx).MinValuesPolicy),
	}
	if options.FromContext(w.ctx).PreferencePolicy == options.PreferencePolicyIgnore {
		opts = append(opts, scheduling.IgnorePreferences)
	}
	scheduler, err := w.provisioner.NewScheduler(w.ctx, pods, nodes.Active(), sets.New[types.UID](), opts...)
	if err != nil {
		return nil, err
	}
	return &Decision{Run: func() (string, error) {
		results, err := scheduler.Solve(w.ctx, pods)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d new nodes, %d pods without a place", len(results.NewNodeClaims), len(results.PodErrors)), nil
	}}, nil
}

// believing takes a command for valid: what is measured is how it is found, not the wait before it is looked at again.
type believing struct{}

func (believing) Validate(_ context.Context, command disruption.Command, _ time.Duration) (disruption.Command, error) {
	return command, nil
}

func (w *world) prepareConsolidation(name string) (*Decision, error) {
	queue := disruption.NewQueue(w.client, w.recorder, w.cluster, w.clock, w.provisioner)
	base := disruption.MakeConsolidation(w.clock, w.cluster, w.client, w.provisioner, w.cloud, w.recorder, queue)
	validator := option.Function[disruption.MethodOptions](disruption.WithValidator(believing{}))
	var method disruption.Method = disruption.NewMultiNodeConsolidation(base, validator)
	if name == "single-node-consolidation" {
		method = disruption.NewSingleNodeConsolidation(base, validator)
	}
	candidates, err := disruption.GetCandidates(
		w.ctx, w.cluster, w.client, w.recorder, w.clock, w.cloud, method.ShouldDisrupt, method.Class(), queue)
	if err != nil {
		return nil, err
	}
	budgets, err := disruption.BuildDisruptionBudgetMapping(
		w.ctx, w.cluster, w.clock, w.client, w.cloud, w.recorder, method.Reason())
	if err != nil {
		return nil, err
	}
	return &Decision{Run: func() (string, error) {
		commands, err := method.ComputeCommands(w.ctx, budgets, candidates...)
		if err != nil {
			return "", err
		}
		if len(commands) == 0 {
			return fmt.Sprintf("%d candidates: nothing", len(candidates)), nil
		}
		removed, replaced := len(commands[0].Candidates), len(commands[0].Replacements)
		return fmt.Sprintf("%d candidates: replaces %d by %d", len(candidates), removed, replaced), nil
	}}, nil
}
