"""Is a data set on this machine what its authors published, whole, paired and aligned?"""

from flowdeblur.verification.findings import Finding
from flowdeblur.verification.verify import Report, Verifiable, verify

__all__ = ["Finding", "Report", "Verifiable", "verify"]
