package main

import (
	corev1 "k8s.io/api/core/v1"
	v1 "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/scheduling"
)

// instanceTypes of the scenario as Karpenter has them. What the provider says of labels is set for the process, so all
// scenarios of one run must be of one provider.
func instanceTypes(catalogue *Catalogue) []*cloudprovider.InstanceType {
	v1.WellKnownLabels.Insert(catalogue.WellKnownLabels...)
	v1.RestrictedLabelDomains.Insert(catalogue.RestrictedLabelDomains...)
	for from, to := range catalogue.NormalizedLabels {
		v1.NormalizedLabels[from] = to
	}
	if catalogue.ReservationIDLabel != "" {
		cloudprovider.ReservationIDLabel = catalogue.ReservationIDLabel
		cloudprovider.ReservedCapacityLabels.Insert(catalogue.ReservationIDLabel)
	}
	var all []*cloudprovider.InstanceType
	for _, it := range catalogue.InstanceTypes {
		var offerings cloudprovider.Offerings
		for _, offering := range it.Offerings {
			offerings = append(offerings, &cloudprovider.Offering{
				Requirements:        requirements(offering.Requirements),
				Price:               offering.Price,
				Available:           offering.Available,
				ReservationCapacity: offering.ReservationCapacity,
				CapacityOverride:    offering.CapacityOverride,
				OverheadOverride:    overhead(offering.OverheadOverride),
			})
		}
		all = append(all, &cloudprovider.InstanceType{
			Name:         it.Name,
			Requirements: requirements(it.Requirements),
			Offerings:    offerings,
			Capacity:     it.Capacity,
			Overhead:     overhead(&it.Overhead),
		})
	}
	return all
}

func overhead(of *Overhead) *cloudprovider.InstanceTypeOverhead {
	if of == nil {
		return nil
	}
	return &cloudprovider.InstanceTypeOverhead{
		KubeReserved:      of.KubeReserved,
		SystemReserved:    of.SystemReserved,
		EvictionThreshold: of.EvictionThreshold,
	}
}

func requirements(all []corev1.NodeSelectorRequirement) scheduling.Requirements {
	result := scheduling.NewRequirements()
	for _, it := range all {
		result.Add(scheduling.NewRequirement(it.Key, it.Operator, it.Values...))
	}
	return result
}
