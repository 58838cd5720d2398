"""What the API server says of disruption budgets."""

from actuator.platforms.kubernetes.documents import Document, Pod
from actuator.platforms.kubernetes.scheduling import Labels


class BudgetSpec(Document):
    """Whom a budget is about; without a selector nobody."""

    selector: Labels | None = None


class BudgetStatus(Document):
    """What it allows."""

    disruptions_allowed: int = 0


class Budget(Document):
    """One of ``GET /apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets``."""

    spec: BudgetSpec = BudgetSpec()
    status: BudgetStatus = BudgetStatus()

    def covers(self, pod: Pod) -> bool:
        """Tell whether the pod, of the same namespace, is under this budget."""
        return self.spec.selector is not None and self.spec.selector.matches(pod.metadata.labels)


class Budgets(Document):
    """All of a namespace."""

    items: tuple[Budget, ...] = ()
