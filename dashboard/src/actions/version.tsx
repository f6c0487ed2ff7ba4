/** The actions on a version: the likely next step as a button, the others in a menu. */

import { CircleStop, CloudOff, Play, Rocket, Trash2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useNavigate } from "react-router";
import * as api from "../api/queries";
import type { Action, Version } from "../api/schema";
import { useMay } from "../app/session";
import { Button, Menu } from "../ui/controls";
import { CommentDialog } from "../ui/dialog";
import { Warning } from "../ui/feedback";
import "./version.css";

interface Words {
  text: string;
  icon: ReactNode;
  danger?: boolean;
  says: (version: Version, published: string | undefined) => ReactNode;
}

const WORDS: Record<Action, Words> = {
  start: {
    text: "Start",
    icon: <Play aria-hidden size={14} />,
    says: () =>
      "Starts its nodes. Only clients with a token can call it; the public port does not route to it.",
  },
  publish: {
    text: "Publish",
    icon: <Rocket aria-hidden size={14} />,
    says: (version, published) => (
      <>
        The public port routes to <b>{version.name}</b> at once.
        {published && (
          <>
            {" "}
            <b>{published}</b> finishes its requests in flight and stays started.
          </>
        )}
      </>
    ),
  },
  unpublish: {
    text: "Unpublish",
    icon: <CloudOff aria-hidden size={14} />,
    danger: true,
    says: () => "Clients of this runtime get errors on the public port until a version is published.",
  },
  stop: {
    text: "Stop",
    icon: <CircleStop aria-hidden size={14} />,
    says: () => "Stops once the requests in flight are done.",
  },
  delete: {
    text: "Delete",
    icon: <Trash2 aria-hidden size={14} />,
    danger: true,
    says: () =>
      "Deletes the package and its configuration, and the messages that NATS keeps for it. What it stored stays with the runtime. This cannot be undone.",
  },
};

/** Steps towards publication take precedence. */
const LIKELY: Action[] = ["publish", "start", "stop", "unpublish"];

export function VersionActions({ version, published }: { version: Version; published: string | undefined }) {
  const [asked, setAsked] = useState<Action | null>(null);
  const navigate = useNavigate();
  const mayAct = useMay("manager");
  const change = api.useChange(
    ({ action, comment }: { action: Action; comment: string }) =>
      api.act(version.runtime, version.name, action, comment),
    "runtimes",
  );
  if (!mayAct) return null;

  const next = LIKELY.find((action) => version.actions.includes(action));
  const others = version.actions.filter((action) => action !== next);
  const words = asked && WORDS[asked];
  return (
    <div className="row version-actions">
      {next && (
        <Button
          look={next === "publish" ? "primary" : "plain"}
          icon={WORDS[next].icon}
          onPress={() => setAsked(next)}
        >
          {WORDS[next].text}
        </Button>
      )}
      {others.length > 0 && (
        <Menu
          label={`More for ${version.name}`}
          actions={others.map((action) => ({
            id: action,
            text: `${WORDS[action].text}…`,
            icon: WORDS[action].icon,
            danger: WORDS[action].danger ?? false,
            onAction: () => setAsked(action),
          }))}
        />
      )}
      {asked && words && (
        <CommentDialog
          title={`${words.text} ${version.name}`}
          action={words.text}
          danger={words.danger ?? false}
          onConfirm={async (comment) => {
            await change.mutateAsync({ action: asked, comment });
            if (asked === "delete") await navigate(`/runtimes/${version.runtime}/versions`);
          }}
          onClose={() => setAsked(null)}
        >
          <p>{words.says(version, published)}</p>
          {asked === "start" && version.missing_config.length > 0 && (
            <Warning>
              It lacks configuration:{" "}
              {version.missing_config.map((name) => (
                <code key={name}>{name} </code>
              ))}
            </Warning>
          )}
        </CommentDialog>
      )}
    </div>
  );
}
