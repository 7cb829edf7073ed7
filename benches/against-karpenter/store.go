package main

import (
	"context"
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// store answers Get and List from memory, with copies, as the cache of a controller does. Nothing else is asked of it.
type store struct {
	client.Client
	byType map[reflect.Type][]client.Object
	byKey  map[reflect.Type]map[client.ObjectKey]client.Object
	byNode map[string][]client.Object
}

func newStore(objects []client.Object) *store {
	s := &store{
		byType: map[reflect.Type][]client.Object{},
		byKey:  map[reflect.Type]map[client.ObjectKey]client.Object{},
		byNode: map[string][]client.Object{},
	}
	for _, object := range objects {
		kind := reflect.TypeOf(object).Elem()
		s.byType[kind] = append(s.byType[kind], object)
		if s.byKey[kind] == nil {
			s.byKey[kind] = map[client.ObjectKey]client.Object{}
		}
		s.byKey[kind][client.ObjectKeyFromObject(object)] = object
		if pod, ok := object.(*corev1.Pod); ok {
			s.byNode[pod.Spec.NodeName] = append(s.byNode[pod.Spec.NodeName], pod)
		}
	}
	return s
}

func (s *store) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	kind := reflect.TypeOf(into).Elem()
	found, ok := s.byKey[kind][key]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: kind.Name()}, key.String())
	}
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(found.DeepCopyObject()).Elem())
	return nil
}

func (s *store) List(_ context.Context, into client.ObjectList, opts ...client.ListOption) error {
	var options client.ListOptions
	options.ApplyOptions(opts)
	items := reflect.ValueOf(into).Elem().FieldByName("Items")
	kind := items.Type().Elem()
	candidates := s.byType[kind]
	if options.FieldSelector != nil {
		node, ok := options.FieldSelector.RequiresExactMatch("spec.nodeName")
		if !ok {
			return fmt.Errorf("listing %s by %s is not provided for", kind.Name(), options.FieldSelector)
		}
		candidates = nil
		if kind == reflect.TypeFor[corev1.Pod]() {
			candidates = s.byNode[node]
		}
	}
	var objects []client.Object
	for _, object := range candidates {
		if options.Namespace != "" && object.GetNamespace() != options.Namespace {
			continue
		}
		if options.LabelSelector != nil && !options.LabelSelector.Matches(labels.Set(object.GetLabels())) {
			continue
		}
		objects = append(objects, object)
	}
	list := reflect.MakeSlice(items.Type(), len(objects), len(objects))
	for index, object := range objects {
		var shared runtime.Object = object
		if options.UnsafeDisableDeepCopy == nil || !*options.UnsafeDisableDeepCopy {
			shared = object.DeepCopyObject()
		}
		list.Index(index).Set(reflect.ValueOf(shared).Elem())
	}
	items.Set(list)
	return nil
}
