//! That a certificate nears its end is told once for each limit that it comes under.

use super::ResultsTransaction;
use crate::Result;
use crate::row::bind;
use uptime_core::id::MonitorId;

impl ResultsTransaction {
    /// Whether it is news that the certificate with this SHA-256 has fewer than `days` days left. It is none afterwards.
    pub async fn is_certificate_news(
        &mut self,
        monitor: MonitorId,
        fingerprint: &str,
        days: u16,
    ) -> Result<bool> {
        let insert = sqlx::query(
            "INSERT INTO certificate_notices (monitor_id, fingerprint, days) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        );
        let inserted =
            bind!(insert, monitor, fingerprint, u32::from(days)).execute(&mut self.transaction).await?;
        Ok(inserted.rows_affected() > 0)
    }
}
