-- The sum of a lease that its data plane has given back before the lease ended. It never shrinks.
ALTER TABLE leases ADD COLUMN returned INTEGER NOT NULL DEFAULT 0;
