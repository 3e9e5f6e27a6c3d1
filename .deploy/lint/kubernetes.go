package lint

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// kinds are the objects that may occur; another one needs its line here.
func kinds() map[string]any {
	return map[string]any{
		"v1/Namespace":             &corev1.Namespace{},
		"v1/Secret":                &corev1.Secret{},
		"v1/ConfigMap":             &corev1.ConfigMap{},
		"v1/Service":               &corev1.Service{},
		"apps/v1/Deployment":       &appsv1.Deployment{},
		"batch/v1/Job":             &batchv1.Job{},
		"batch/v1/CronJob":         &batchv1.CronJob{},
		"v1/PersistentVolumeClaim": &corev1.PersistentVolumeClaim{},
		// Of the Prometheus operator, as far as they are used here.
		"monitoring.coreos.com/v1/ServiceMonitor": &serviceMonitor{},
		"monitoring.coreos.com/v1/PrometheusRule": &prometheusRule{},
		"networking.k8s.io/v1/Ingress":            &networkingv1.Ingress{},
		"networking.k8s.io/v1/NetworkPolicy":      &networkingv1.NetworkPolicy{},
		"policy/v1/PodDisruptionBudget":           &policyv1.PodDisruptionBudget{},
	}
}

type serviceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port     string `json:"port"`
			Interval string `json:"interval"`
		} `json:"endpoints"`
	} `json:"spec"`
}

type prometheusRule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []struct {
				Alert       string            `json:"alert"`
				Expr        string            `json:"expr"`
				For         string            `json:"for"`
				Labels      map[string]string `json:"labels"`
				Annotations map[string]string `json:"annotations"`
			} `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

// Manifests decodes each object into the type of the Kubernetes API that it says it
// is; a member that the type does not have is an error.
func Manifests(content []byte) (kindsSeen []string, err error) {
	for document := range bytes.SplitSeq(content, []byte("\n---\n")) {
		var head struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal(document, &head); err != nil {
			return nil, err
		}
		name := head.APIVersion + "/" + head.Kind
		object, known := kinds()[name]
		if !known {
			return nil, fmt.Errorf("%s is not among the kinds that are checked", name)
		}
		if err := yaml.UnmarshalStrict(document, object); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := sound(object); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		kindsSeen = append(kindsSeen, head.Kind)
	}
	return kindsSeen, nil
}

// sound checks what types cannot: selectors that select their own pods, secrets and
// ports that are there.
func sound(object any) error {
	switch o := object.(type) {
	case *appsv1.Deployment:
		for key, value := range o.Spec.Selector.MatchLabels {
			if o.Spec.Template.Labels[key] != value {
				return fmt.Errorf("the selector's %s is not a label of the pods", key)
			}
		}
		return errors.Join(podIsSound(o.Spec.Template.Spec), podHas(o.Spec.Template.Spec, "/status"))
	case *batchv1.Job:
		return podIsSound(o.Spec.Template.Spec)
	case *batchv1.CronJob:
		if o.Spec.ConcurrencyPolicy != batchv1.ForbidConcurrent || o.Spec.JobTemplate.Spec.ActiveDeadlineSeconds == nil {
			return fmt.Errorf("%s may run twice at once, or for ever", o.Name)
		}
		pod := o.Spec.JobTemplate.Spec.Template.Spec
		return errors.Join(podIsSound(pod), podHas(pod, "/status"))
	case *serviceMonitor:
		if len(o.Spec.Endpoints) == 0 || o.Spec.Selector.MatchLabels["app.kubernetes.io/name"] != "mems" {
			return errors.New("it selects nothing of MEMS")
		}
	}
	return nil
}

// podIsSound holds a pod to its bounds, to the cluster's rules, and to the authority of
// one's own that its connections may need.
func podIsSound(p corev1.PodSpec) error {
	for _, c := range p.Containers {
		for _, name := range []corev1.ResourceName{corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
			if !isSet(c.Resources.Requests, name) || !isSet(c.Resources.Limits, name) {
				return fmt.Errorf("container %s has no request or no limit of %s", c.Name, name)
			}
		}
		if !slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool {
			return e.Name == "SSL_CERT_DIR" && e.Value == "/etc/ssl/certs:/run/ca"
		}) {
			return fmt.Errorf("container %s does not look for authorities in /run/ca", c.Name)
		}
	}
	return errors.Join(podIsRestricted(p), podHas(p, "/run/ca"), podHas(p, "/run/secrets/mems"))
}

func isSet(l corev1.ResourceList, name corev1.ResourceName) bool {
	quantity, ok := l[name]
	return ok && !quantity.IsZero()
}

// podHas checks that each container has a volume at a path.
func podHas(p corev1.PodSpec, path string) error {
	for _, c := range p.Containers {
		if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == path }) {
			return fmt.Errorf("container %s has nothing mounted at %s", c.Name, path)
		}
	}
	return nil
}

// podIsRestricted holds a pod to what the namespace's level "restricted" asks for.
func podIsRestricted(p corev1.PodSpec) error {
	s := p.SecurityContext
	if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil {
		return errors.New("the pod is not held to runAsNonRoot and a seccompProfile")
	}
	volumes := map[string]bool{}
	for _, v := range p.Volumes {
		volumes[v.Name] = true
	}
	for _, c := range p.Containers {
		s := c.SecurityContext
		if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil ||
			len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" {
			return fmt.Errorf("container %s may do more than the level restricted lets it", c.Name)
		}
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				return fmt.Errorf("container %s mounts a volume %q that the pod does not have", c.Name, m.Name)
			}
		}
	}
	return nil
}

// Kustomize builds a folder as `kubectl apply -k` does.
func Kustomize(dir string) ([]byte, error) {
	objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, err
	}
	return objects.AsYaml()
}
