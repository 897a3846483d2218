import type { AttachRights } from '../../native/index.js';
import type { Principal } from '../rest/access/principal.js';
import type { TenantBook } from './tenant-book.js';

/** What the device is to let a host do that acts for the principal. */
export function attachRights(who: Principal, tenants: TenantBook): AttachRights {
  const { tenant, actor } = tenants.identify(who);
  return { tenant, actor, mayWrite: who.mayWrite, ...(who.datasets ? { datasets: [...who.datasets] } : {}) };
}
