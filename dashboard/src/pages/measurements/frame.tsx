/** The shared frame of the measurement pages: tabs of boards, and the range of time. */

import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useLocation, useParams } from "react-router";
import * as api from "../../api/queries";
import { type RangeState, useRange } from "../../lib/url";
import { PageHeader, Tabs, usePageTitle } from "../../ui/layout";
import { RangePicker } from "../../ui/range-picker";

export function Frame({
  title,
  actions,
  children,
}: {
  title: string;
  actions?: ReactNode;
  children: (range: RangeState) => ReactNode;
}) {
  const { runtime = "" } = useParams();
  usePageTitle(title, runtime);
  const range = useRange("1h", 15_000);
  const boards = useQuery(api.boards(runtime)).data ?? [];
  const { search } = useLocation();
  const params = new URLSearchParams(search);
  // The tabs keep the range of time, and drop other parameters.
  const kept = new URLSearchParams(
    ["range", "from", "to"].flatMap((name) => (params.get(name) ? [[name, params.get(name) ?? ""]] : [])),
  );
  const at = (path: string) => `/runtimes/${runtime}/measurements${path}${kept.size ? `?${kept}` : ""}`;
  return (
    <>
      <PageHeader title="Measurements">
        {actions}
        <div className="range">
          <RangePicker range={range.range} resolved={range.resolved} onChange={range.set} />
        </div>
      </PageHeader>
      <Tabs
        label="Boards"
        tabs={[
          { to: at(""), text: "Elapsed times", end: true },
          ...boards.map(({ id, name }) => ({ to: at(`/boards/${id}`), text: name })),
          { to: at("/explore"), text: "Explore" },
        ]}
      />
      {children(range)}
    </>
  );
}
