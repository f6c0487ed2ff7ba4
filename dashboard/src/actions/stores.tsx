/** Where a runtime keeps its data: which servers do not take it now, and what a deletion does there. */

import { useQuery } from "@tanstack/react-query";
import * as api from "../api/queries";
import type { RuntimeStore } from "../api/schema";
import { plural } from "../lib/format";
import { Warning } from "../ui/feedback";

const KEEPERS = { folder: "the data folder", mongodb: "MongoDB", influxdb: "InfluxDB", nats: "NATS" };

/** How often servers are looked at again, in ms. */
const INTERVAL = 10_000;

/** Warns of servers that do not take the runtime's data. */
export function StoresAway({ runtime }: { runtime: string }) {
  const { data = [] } = useQuery({
    ...api.stores(runtime),
    refetchInterval: ({ state }) => (state.data?.some(({ address }) => address) ? INTERVAL : false),
  });
  return data
    .filter(({ up }) => !up)
    .map((store) => (
      <Warning key={store.holds}>
        <p>
          {KEEPERS[store.kept_by]} at <code>{store.address}</code> takes no {store.holds}: {store.reason}
        </p>
        {store.waiting > 0 && <p>{plural(store.waiting, "measurement")} wait on the server's disk.</p>}
        {store.dropped > 0 && <p>{plural(store.dropped, "measurement")} were dropped.</p>}
      </Warning>
    ));
}

/** Says what the deletion of the runtime does on other servers. */
export function DeletedElsewhere({ runtime }: { runtime: string }) {
  const { data = [] } = useQuery(api.stores(runtime));
  const elsewhere = data.filter(({ database }) => database);
  const list = (stores: RuntimeStore[]) =>
    stores.map(({ kept_by, database, address }, i) => (
      <span key={kept_by}>
        {i > 0 && " and "}
        <code>{database}</code> in {KEEPERS[kept_by]} at <code>{address}</code>
      </span>
    ));
  const deleted = elsewhere.filter((store) => store.deleted_with_runtime);
  const kept = elsewhere.filter((store) => !store.deleted_with_runtime);
  return (
    <>
      {deleted.length > 0 && <p>Also deletes {list(deleted)}.</p>}
      {kept.length > 0 && <p>Keeps {list(kept)}.</p>}
    </>
  );
}
